module sidelight.example/go

go 1.21
