//! Manifests of Kubernetes as people keep them: files of several documents, YAML or JSON, read into raw JSON
//! and written again in their order. Unit: one file.
