//! Writes the fields of journald's native protocol as a line of JSON. Unit: one datagram.

use super::json;
use crate::frame::journal::Fields;

/// Writes the fields into `line`; all values are strings, as `journalctl -o json` writes them.
pub(super) fn write(datagram: &[u8], line: &mut Vec<u8>) {
    line.clear();
    line.push(b'{');
    for (number, (name, value)) in Fields::of(datagram).enumerate() {
        if number > 0 {
            line.push(b',');
        }
        json::string(line, name);
        line.push(b':');
        json::string(line, value);
    }
    line.push(b'}');
}
