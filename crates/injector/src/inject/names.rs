//! Every name that injection writes into a pod or reads from it, so that front ends, policy and
//! checks use the same ones. This module has no logic. Unit: one name.

/// The sidecar's container, in either list.
pub const CONTAINER: &str = "sidelight";
/// The init container that copies the binary to the volume if no native sidecar does it first.
pub const INSTALL_CONTAINER: &str = "sidelight-install";
/// The volume of the sockets.
pub const RUN_VOLUME: &str = "sidelight-run";
/// The volume with the contents of our image, in clusters that have image volumes.
pub const IMAGE_VOLUME: &str = "sidelight-image";
/// The volume of the namespace's configuration layer.
pub const NAMESPACE_VOLUME: &str = "sidelight-namespace";
/// The volume of the pod's configuration layer.
pub const RULES_VOLUME: &str = "sidelight-rules";
/// All volumes of ours.
pub const VOLUMES: [&str; 4] = [RUN_VOLUME, IMAGE_VOLUME, NAMESPACE_VOLUME, RULES_VOLUME];
/// The ConfigMap with the namespace's configuration layer.
pub const NAMESPACE_CONFIG_MAP: &str = "sidelight";
/// The name of the port: at most 15 characters.
pub const PORT: &str = "sl-metrics";

/// Mount path of the volume of the sockets.
pub const RUN_PATH: &str = "/run/sidelight";
/// Path of the stream socket.
pub const SOCKET_PATH: &str = "/run/sidelight/log.sock";
/// Path of the datagram socket.
pub const DATAGRAM_SOCKET_PATH: &str = "/run/sidelight/log.dgram.sock";
/// Directory of the binary for `tee`.
pub const INSTALL_PATH: &str = "/run/sidelight/bin";
/// Mount path of the image in containers with copied output.
pub const IMAGE_PATH: &str = "/run/sidelight-image";
/// Mount path of the namespace's configuration layer.
pub const NAMESPACE_PATH: &str = "/etc/sidelight/namespace";
/// Mount path of the pod's configuration layer.
pub const RULES_PATH: &str = "/etc/sidelight/pod";
/// The copier that the sidecar or an init container has put on the volume of the sockets. A command
/// with copied output begins with one of these two paths, options, and `--`.
pub const TEE_INSTALLED: &str = "/run/sidelight/bin/sidelight-tee";
/// The copier in the mounted image.
pub const TEE_MOUNTED: &str = "/run/sidelight-image/sidelight-tee";

/// The variable with the path of the stream socket, for the application.
pub const SOCKET_VARIABLE: &str = "SIDELIGHT_SOCKET";
/// The variable with the path of the datagram socket, for the application.
pub const DATAGRAM_SOCKET_VARIABLE: &str = "SIDELIGHT_DATAGRAM_SOCKET";
/// The variable with the directory of the binary, for the sidecar.
pub const INSTALL_VARIABLE: &str = "SIDELIGHT_INSTALL_DIR";

/// Label of a namespace with injected pods: `enabled`.
pub const NAMESPACE_LABEL: &str = "sidelight.dev/injection";
/// Label of a pod that opts in or out.
pub const POD_LABEL: &str = "sidelight.dev/inject";
/// Label of namespaces and pods that follow one revision.
pub const REVISION_LABEL: &str = "sidelight.dev/rev";
/// Label of a pod with the sidecar.
pub const INJECTED_LABEL: &str = "sidelight.dev/injected";
/// Annotation that records what was added.
pub const STATUS: &str = "sidelight.dev/status";
/// Annotation that names a ConfigMap of rules in the pod's namespace.
pub const RULES: &str = "sidelight.dev/rules";
/// Prefix of annotations that change settings for one pod.
pub const CONFIG: &str = "sidelight.dev/config.";

/// Annotation of a mirror pod, which represents a static pod in the API.
pub const MIRROR: &str = "kubernetes.io/config.mirror";
/// Annotation that names the default container of `kubectl logs` and `exec`.
pub const DEFAULT_CONTAINER: &str = "kubectl.kubernetes.io/default-container";
/// Annotation that names volumes which do not prevent the eviction of the pod.
pub const SAFE_TO_EVICT: &str = "cluster-autoscaler.kubernetes.io/safe-to-evict-local-volumes";

/// Reasons why a pod, or one of its containers, is left alone: values of a label, for machines.
pub mod reason {
    /// The pod uses the host network, where the port would be shared with the node.
    pub const HOST_NETWORK: &str = "host_network";
    /// The pod is the mirror of a static pod, which nobody can change.
    pub const MIRROR_POD: &str = "mirror_pod";
    /// The pod has more containers than any real pod.
    pub const TOO_MANY_CONTAINERS: &str = "too_many_containers";
    /// The pod's annotations are so long that ours would exceed the limit of an object.
    pub const ANNOTATIONS: &str = "annotations";
    /// The pod opts out.
    pub const OPTED_OUT: &str = "opted_out";
    /// Everything was added already.
    pub const ALREADY_CONVERGED: &str = "already_converged";
    /// The pod is for Windows.
    pub const UNSUPPORTED_OS: &str = "unsupported_os";
    /// The installer excluded the namespace.
    pub const EXCLUDED_NAMESPACE: &str = "excluded_namespace";
    /// A container with our name was added by hand.
    pub const BY_HAND: &str = "by_hand";
    /// A volume or a mount of the pod conflicts with ours.
    pub const CONFLICT: &str = "conflict";
    /// The pod contains only containers of a mesh.
    pub const NO_CONTAINER: &str = "no_container";
    /// The object is not a pod that the API server would accept.
    pub const MALFORMED: &str = "malformed";
    /// A container's output should be copied, but its command is unknown.
    pub const NO_COMMAND: &str = "no_command";
    /// A container's output should be copied, but it runs before the binary is installed.
    pub const STARTS_EARLIER: &str = "starts_earlier";
}
