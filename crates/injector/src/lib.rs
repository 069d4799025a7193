//! sidelight-injector puts the sidecar into pods: at admission, as a webhook, or before, into manifests. It
//! runs once in a cluster, or on somebody's own machine; never beside an application.
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
//! | [`inject`] | pure: a pod's JSON -> the JSON patch that puts the sidecar into it; the same in CEL |
//! | [`config`] | the injector's configuration in YAML -> the policy; errors with their places |
//! | [`server`] | the admission webhook: TLS, certificates, reviews, the leader, its admin port |
//! | [`kube`] | the few calls to the Kubernetes API |
//! | [`manifest`] | manifests read and written; the pods in them |
//! | [`name`] | names of objects, checked when they are parsed |
//! | [`oci`] | what an image runs when a manifest does not say it: ENTRYPOINT and CMD |
//! | [`cli`] | serve, inject, uninject, policy, check |
//!
//! A pod is admitted whatever goes wrong here: without the sidecar, and with a warning that says why.
#![forbid(unsafe_code)]
#![deny(clippy::print_stdout, clippy::print_stderr)]

pub mod cli;
pub mod config;
pub mod inject;
pub mod kube;
pub mod manifest;
pub mod name;
pub mod oci;
pub mod server;
