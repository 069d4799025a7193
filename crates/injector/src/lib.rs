//! sidelight-injector puts the sidecar into pods: at admission, as a webhook, or beforehand, into
//! manifests. It runs once in a cluster, or on a developer's machine, but never in the pod of an
//! application.
//!
//! ```text
//!  API server --review--> server (TLS, reviews) --+
//!                                                 +--> inject: pod + policy -> JSON patch
//!  manifests --> manifest::read --> cli::inject --+
//!  config: injector.yaml -> inject::policy::Policy
//! ```
//!
//! | module | what it is |
//! |---|---|
//! | [`apiserver`] | the connection to the Kubernetes API: kubeconfig, limits, errors |
//! | [`inject`] | pure: a pod's JSON -> the JSON patch that adds the sidecar; the same in CEL |
//! | [`config`] | the injector's configuration in YAML -> the policy; errors with their positions |
//! | [`server`] | the admission webhook: TLS, certificates, reviews, leader election, admin port |
//! | [`manifest`] | reads and writes manifests, and finds the pods in them |
//! | [`name`] | names of objects, validated when they are parsed |
//! | [`oci`] | ENTRYPOINT and CMD of an image, for manifests without a command |
//! | [`cli`] | serve, inject, uninject, policy, check |
//!
//! A pod is admitted whatever fails here: without the sidecar, and with a warning that gives the
//! reason.
#![forbid(unsafe_code)]
#![deny(clippy::print_stdout, clippy::print_stderr)]

pub mod apiserver;
pub mod cli;
pub mod config;
pub mod inject;
pub mod manifest;
pub mod name;
pub mod oci;
pub mod server;
