//! Beginnings of lines that only continue a record. Unit: one line.

/// Beginnings of lines that continue an exception's message; no logger starts a record like this.
pub(super) const MESSAGE_MORE: [&[u8]; 20] = [
    b"DETAIL: ",
    b"HINT: ",
    b"CONTEXT: ",
    b"QUERY: ",
    b"LINE 1:",
    b"[SQL: ",
    b"[parameters: ",
    b"[raw parameters: ",
    b"(Background on this error at: ",
    b"FROM ",
    b"WHERE ",
    b"ORDER BY ",
    b"GROUP BY ",
    b"HAVING ",
    b"LIMIT ",
    b"VALUES ",
    b"SET ",
    b"RETURNING ",
    b"LEFT OUTER JOIN ",
    b"JOIN ",
];

/// The keys of asyncio's exception context that have objects as values.
pub(super) const ASYNCIO: [&[u8]; 5] =
    [b"future: <", b"task: <", b"handle: <", b"protocol: <", b"transport: <"];

/// Beginnings of the lines of an Elixir report after its stack.
pub(super) const ELIXIR_MORE: [&[u8]; 7] = [
    b"Last message",
    b"State: ",
    b"Function: ",
    b"Initial Call: ",
    b"Ancestors: ",
    b"Queue: ",
    b"Client #PID<",
];

/// Beginnings of lines that only continue a stack trace.
pub(super) const STACK_MORE: [&[u8]; 12] = [
    b"--- End of ",
    b"Next ",
    b"[previous exception] ",
    b"\"} ",
    b"\"}",
    b"Node.js v",
    b"exit status ",
    b"note: run with `RUST_BACKTRACE",
    b"note: Some details are omitted",
    b"[signal ",
    b"...additional frames elided...",
    b"Location:",
];
