//! Kubernetes manifests as users write them: files of several documents, YAML or JSON, read into
//! raw JSON and written again in their order. What kubectl reads in the input it also reads in the
//! output. kubectl's YAML is 1.1 with Go's numbers, so that `yes` is a boolean and `0660` is octal.
//! Comments are not kept. Objects stay raw JSON, so that fields unknown to this code are preserved.
//! Unit: one file.

pub mod read;
pub mod scalar;
pub mod workload;
pub mod write;

#[cfg(test)]
mod tests;
