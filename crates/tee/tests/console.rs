//! Runs the wrapper with a standard error that accepts nothing: the exit code must still be the
//! application's.

#[allow(clippy::disallowed_methods)] // it waits for other processes, which use real time
#[path = "../../../tests/support/outputs.rs"]
mod outputs;

use outputs::{ALL, code};
use std::process::{Command, Stdio};

#[test]
fn the_exit_code_is_the_applications() {
    let script = "exec 2>/dev/null; echo out; exit 7";
    for (arguments, expected) in
        [(vec!["/nowhere"], 127), (vec!["sh", "-c", script], 7), (vec!["--nothing"], 2)]
    {
        for broken in ALL {
            let (stderr, _kept) = broken.open();
            let mut command = Command::new(env!("CARGO_BIN_EXE_sidelight-tee"));
            command.args(&arguments).env("SIDELIGHT_LOG_LEVEL", "debug");
            command.env("SIDELIGHT_SOCKET", "/nowhere.sock").stdin(Stdio::null());
            let child = command.stdout(Stdio::null()).stderr(stderr).spawn().expect("the binary");
            let what = format!("{arguments:?} with standard error {broken:?}");
            assert_eq!(code(child, &what), Some(expected), "{what}");
        }
    }
}
