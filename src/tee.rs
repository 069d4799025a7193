//! Runs a command, passes its output through untouched and copies every line to the socket. Never holds the
//! command up: what the sidecar does not take at once is dropped and counted. Unit: one command.
