//! Every name that injection puts into a pod or reads from it, so that front ends, policy and checks say
//! the same. Names alone: no logic. Unit: one name.

/// The container, in whichever list it stands.
pub const CONTAINER: &str = "sidelight";
/// The init container that puts the binary on the volume where no native sidecar does it first.
pub const INSTALL_CONTAINER: &str = "sidelight-install";
/// The volume of the sockets.
pub const RUN_VOLUME: &str = "sidelight-run";
/// The namespace's layer of configuration.
pub const NAMESPACE_VOLUME: &str = "sidelight-namespace";
/// The pod's layer of configuration.
pub const RULES_VOLUME: &str = "sidelight-rules";
/// The ConfigMap that holds the namespace's layer.
pub const NAMESPACE_CONFIG_MAP: &str = "sidelight";
/// The name of the port: at most 15 characters.
pub const PORT: &str = "sl-metrics";

/// Where the volume of the sockets is mounted.
pub const RUN_PATH: &str = "/run/sidelight";
/// The stream socket.
pub const SOCKET_PATH: &str = "/run/sidelight/log.sock";
/// The datagram socket.
pub const DATAGRAM_SOCKET_PATH: &str = "/run/sidelight/log.dgram.sock";
/// Where the binary is put for `tee`.
pub const INSTALL_PATH: &str = "/run/sidelight/bin";
/// Where the namespace's layer is mounted.
pub const NAMESPACE_PATH: &str = "/etc/sidelight/namespace";
/// Where the pod's layer is mounted.
pub const RULES_PATH: &str = "/etc/sidelight/pod";
/// What stands before a command whose output is copied.
pub const TEE: [&str; 2] = ["/run/sidelight/bin/sidelight-tee", "--"];

/// The variable that tells an application where the socket is.
pub const SOCKET_VARIABLE: &str = "SIDELIGHT_SOCKET";
/// The variable that tells the sidecar where to put the binary.
pub const INSTALL_VARIABLE: &str = "SIDELIGHT_INSTALL_DIR";

/// Label of a namespace whose pods get the sidecar: `enabled`.
pub const NAMESPACE_LABEL: &str = "sidelight.dev/injection";
/// Label of a pod that wants it, or does not.
pub const POD_LABEL: &str = "sidelight.dev/inject";
/// Label of namespaces and pods that follow one revision.
pub const REVISION_LABEL: &str = "sidelight.dev/rev";
/// Label of a pod that has it.
pub const INJECTED_LABEL: &str = "sidelight.dev/injected";
/// Annotation that says what was added.
pub const STATUS: &str = "sidelight.dev/status";
/// Annotation that names a ConfigMap of rules in the pod's namespace.
pub const RULES: &str = "sidelight.dev/rules";
/// How the annotations begin that change something for one pod.
pub const CONFIG: &str = "sidelight.dev/config.";

/// Annotation of a static pod's shadow in the API.
pub const MIRROR: &str = "kubernetes.io/config.mirror";
/// Annotation that says from which container `kubectl logs` and `exec` begin.
pub const DEFAULT_CONTAINER: &str = "kubectl.kubernetes.io/default-container";
/// Annotation that names volumes which do not keep a node from being drained.
pub const SAFE_TO_EVICT: &str = "cluster-autoscaler.kubernetes.io/safe-to-evict-local-volumes";

/// Why a pod, or one of its containers, is left alone: words for machines, values of a label.
pub mod reason {
    /// The pod has the network of its node, where the port would be everybody's.
    pub const HOST_NETWORK: &str = "host_network";
    /// The pod is the shadow of a static one, which nobody can change.
    pub const MIRROR_POD: &str = "mirror_pod";
    /// The pod has more containers than any pod needs.
    pub const TOO_MANY_CONTAINERS: &str = "too_many_containers";
    /// The pod's annotations are so long that ours would exceed what an object may have.
    pub const ANNOTATIONS: &str = "annotations";
    /// The pod says no.
    pub const OPTED_OUT: &str = "opted_out";
    /// Everything is there.
    pub const ALREADY_CONVERGED: &str = "already_converged";
    /// The pod is one for Windows.
    pub const UNSUPPORTED_OS: &str = "unsupported_os";
    /// The installer left the namespace out.
    pub const EXCLUDED_NAMESPACE: &str = "excluded_namespace";
    /// Somebody put a container of our name there by hand.
    pub const BY_HAND: &str = "by_hand";
    /// A volume or a mount of the pod stands where ours would have to.
    pub const CONFLICT: &str = "conflict";
    /// Nothing but containers of a mesh stands in the pod.
    pub const NO_CONTAINER: &str = "no_container";
    /// What came is no pod that the API server would take.
    pub const MALFORMED: &str = "malformed";
    /// A container's output is to be copied, and nobody says what its command is.
    pub const NO_COMMAND: &str = "no_command";
    /// A container's output is to be copied, and it runs before the binary is there.
    pub const STARTS_EARLIER: &str = "starts_earlier";
}
