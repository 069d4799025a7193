//! What the installer decided: the injector's configuration as it is used. Unit: one injector.

/// The injector's settings.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Policy {
    /// The image of the sidecar, best by digest.
    pub image: String,
}
