//! Reads the arguments of the injector from flags and from the environment.

use super::*;

fn command() -> Command {
    Arguments::augment_args(Command::new("injector").no_binary_name(true))
}

fn environment(pairs: &[(&str, &str)]) -> Environment {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn parsed(line: &str) -> Arguments {
    let matches = command().try_get_matches_from(line.split_whitespace()).expect("valid");
    Arguments::from_arg_matches(&matches).expect("valid")
}

/// Guarantees: every flag can come from the environment, has the same effect as on the command
/// line, and is overridden by it.
#[test]
fn every_flag_is_a_variable_and_flags_win() {
    for (flag, value, other) in [
        ("config", "/a", "/b"),
        ("listen", "127.0.0.1:1", "127.0.0.1:2"),
        ("admin", "127.0.0.1:1", "127.0.0.1:2"),
        ("tls", "provided", "cert-manager"),
        ("tls-directory", "/a", "/b"),
        ("publish-ca", "true", "false"),
        ("tls-names", "a,b", "c"),
        ("namespace", "a", "b"),
        ("service", "a", "b"),
        ("secret", "a", "b"),
        ("lease", "a", "b"),
        ("webhook-configuration", "a", "b"),
        ("count-missing", "60s", "0"),
        ("events", "false", "true"),
        ("kubeconfig", "/a", "/b"),
        ("linger", "1s", "2s"),
        ("leaf-lifetime", "1h", "2h"),
        ("ca-lifetime", "1h", "2h"),
        ("ca-overlap", "1m", "2m"),
        ("check-every", "1s", "2s"),
        ("log-level", "debug", "warn"),
    ] {
        let variable = format!("SIDELIGHT_INJECTOR_{}", flag.to_uppercase().replace('-', "_"));
        let behind = behind(&environment(&[(&variable, value), ("OTHER", "x")])).expect(flag);
        assert_ne!(behind, Arguments::default(), "{flag} is not read");
        assert_eq!(behind, parsed(&format!("--{flag}={value}")), "{flag}");
        let flags = parsed(&format!("--{flag}={other}"));
        assert_eq!(flags.clone().over(behind), flags, "{flag}");
    }
    let flags = command().get_arguments().filter(|argument| argument.get_long().is_some()).count();
    assert_eq!(flags, 21, "a row for each");
    assert_eq!(behind(&environment(&[("SIDELIGHT_INJECTOR_TLS", "")])), Ok(Arguments::default()));
}

/// Guarantees: the variables that Kubernetes sets for a Service called sidelight-injector are not
/// flags.
#[test]
fn a_service_of_our_name_sets_nothing() {
    let links = environment(&[
        ("SIDELIGHT_INJECTOR_SERVICE_HOST", "10.0.0.1"),
        ("SIDELIGHT_INJECTOR_SERVICE_PORT", "443"),
        ("SIDELIGHT_INJECTOR_SERVICE_PORT_HTTPS", "443"),
        ("SIDELIGHT_INJECTOR_PORT", "tcp://10.0.0.1:443"),
        ("SIDELIGHT_INJECTOR_PORT_443_TCP", "tcp://10.0.0.1:443"),
        ("SIDELIGHT_INJECTOR_PORT_443_TCP_ADDR", "10.0.0.1"),
    ]);
    assert_eq!(behind(&links), Ok(Arguments::default()));
}

#[test]
fn errors_say_what_to_do() {
    for (name, value, expected) in [
        ("SIDELIGHT_INJECTOR_TLS", "self-manged", "did you mean `self-managed`?"),
        ("SIDELIGHT_INJECTOR_LISTEN", "nowhere", "HOST:PORT"),
        ("SIDELIGHT_INJECTOR_COUNT_MISSING", "often", "write a unit"),
        ("SIDELIGHT_INJECTOR_NAMESPACE", "a/secrets", "not the name of a namespace"),
        ("SIDELIGHT_INJECTOR_SECRET", "a?x=", "not the name of an object"),
        ("SIDELIGHT_INJECTOR_LEASE", "../x", "not the name of an object"),
        ("SIDELIGHT_INJECTOR_WEBHOOK_CONFIGURATION", "a b", "not the name of an object"),
    ] {
        let error = behind(&environment(&[(name, value)])).expect_err(value);
        assert!(error.starts_with(name) && error.contains(expected), "{error}");
    }
    let nothing = Environment::new();
    let alone = access(&Arguments::default(), Mode::SelfManaged, &nothing).expect_err("no cluster");
    assert!(alone.contains("--kubeconfig") && alone.contains("--tls provided"), "{alone}");
    assert!(access(&Arguments::default(), Mode::Provided, &nothing).expect("needs none").is_none());
}

#[test]
fn errors_of_a_policy_have_their_places() {
    assert_eq!(policy("f.yaml", "image: a/b:1\n").expect("valid").image, "a/b:1");
    let error = policy("f.yaml", "image: a/b:1\nimgae_pull_policy: Always\n").expect_err("a typo");
    assert!(error.contains("f.yaml:2:1") && error.contains("image_pull_policy"), "{error}");
}

#[test]
fn lifetimes_leave_room_for_the_steps_of_a_rotation() {
    let of = Lifetimes::default();
    assert_eq!(of.checked(), Ok(of));
    let hour = Duration::from_hours(1);
    for (leaf, authority, overlap, expected) in [
        (hour, 9 * hour, hour, None),
        (hour, 8 * hour, hour, Some("overlap")),
        (10 * hour, 9 * hour, hour, Some("outlives")),
    ] {
        let checked = Lifetimes { leaf, authority, overlap }.checked();
        let refused = checked.err().map(|error| error.to_string());
        assert_eq!(refused.is_some(), expected.is_some());
        assert!(refused.unwrap_or_default().contains(expected.unwrap_or_default()));
    }
}
