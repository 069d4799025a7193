//! Manifests of Kubernetes as people keep them: files of several documents, YAML or JSON, read into raw JSON
//! and written again in their order. What kubectl reads in the one it reads in the other: kubectl's YAML is
//! 1.1 with Go's numbers, so that `yes` is a truth value and `0660` is octal. Comments are not kept.
//! Never a typed object: what this code has never heard of stays as it was. Unit: one file.

pub mod read;
pub mod scalar;
pub mod workload;
pub mod write;

#[cfg(test)]
mod tests;
