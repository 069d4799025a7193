//! Runs the injector with its threads and its TLS against an API server of the tests: reviews over
//! HTTP/1.1, two replicas that share certificates and a lease, rotation with a manual clock.

#[path = "../support/api.rs"]
mod api;
mod certificates;
mod client;
mod events;
mod kubeconfig;
mod replica;
mod serving;
