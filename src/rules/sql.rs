//! Reads from the first words of a query what it does and to which table: enough for two labels,
//! without any of its values. Accepts a query that is truncated at any position. Pure.

/// Operations with a separate label value; `database_queries_total` counts all others as `OTHER`.
const OPERATIONS: [&str; 17] = [
    "SELECT", "INSERT", "UPDATE", "DELETE", "MERGE", "REPLACE", "UPSERT", "CREATE", "DROP",
    "ALTER", "TRUNCATE", "BEGIN", "COMMIT", "ROLLBACK", "CALL", "EXPLAIN", "COPY",
];

/// The longest table name that is kept, in bytes: PostgreSQL's NAMEDATALEN allows 63 per part.
pub(crate) const TABLE_BYTES_MAX: usize = 100;

/// The operation of a query and its table; the table is empty if the query names none.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Query<'a> {
    /// The operation in upper case, from a closed set.
    pub operation: &'static str,
    /// The table as it is written, without quotes.
    pub table: &'a str,
}

/// Returns the operation that a word names, in any case; `OTHER` for an unknown one.
pub(crate) fn operation(word: &str) -> &'static str {
    known(word).unwrap_or("OTHER")
}

/// Reads a query. Returns None if the text does not begin with an operation, because it is not SQL
/// then.
pub(crate) fn read(text: &str) -> Option<Query<'_>> {
    let mut words = Words { rest: text };
    let mut first = words.next()?;
    if first.eq_ignore_ascii_case("WITH") {
        // The operation follows the common table expressions, which are in parentheses.
        first = words.by_ref().find(|word| known(word).is_some())?;
    }
    let operation = known(first)?;
    let after: &[&str] = match operation {
        "INSERT" | "MERGE" | "REPLACE" | "UPSERT" => &["INTO"],
        "SELECT" | "DELETE" => &["FROM"],
        "EXPLAIN" => &["FROM", "INTO", "UPDATE"],
        "CREATE" | "DROP" | "ALTER" | "TRUNCATE" => &["TABLE", "TRUNCATE"],
        "UPDATE" | "COPY" | "CALL" => &[],
        _ => return Some(Query { operation, table: "" }),
    };
    let mut found = after.is_empty();
    for word in words {
        if found {
            if ["ONLY", "IF", "NOT", "EXISTS", "LOW_PRIORITY", "IGNORE"]
                .iter()
                .any(|skip| word.eq_ignore_ascii_case(skip))
            {
                continue;
            }
            let table = if known(word).is_some() { "" } else { name(word) };
            return Some(Query { operation, table });
        }
        found = after.iter().any(|keyword| word.eq_ignore_ascii_case(keyword));
        // `TRUNCATE users` has no keyword before the table.
        if !found && operation == "TRUNCATE" {
            return Some(Query { operation, table: name(word) });
        }
    }
    Some(Query { operation, table: "" })
}

fn known(word: &str) -> Option<&'static str> {
    OPERATIONS.into_iter().find(|operation| word.eq_ignore_ascii_case(operation))
}

/// Returns a table's name: a word that is an identifier, quoted or not, with its schema. Returns an
/// empty name for anything else, such as a subquery or a value.
pub(crate) fn name(word: &str) -> &str {
    let word = word.trim_end_matches(';');
    // In a quoted name with a schema, the last part is the table.
    let word = if word.ends_with(['"', '`', ']']) {
        word.rsplit('.').next().unwrap_or(word).trim_matches(['"', '`', '[', ']'])
    } else {
        word
    };
    let fine = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'$');
    let starts = word.as_bytes().first().is_some_and(|b| b.is_ascii_alphabetic() || *b == b'_');
    if starts && word.len() <= TABLE_BYTES_MAX && word.bytes().all(fine) { word } else { "" }
}

/// The words of a query, separated by white space and parentheses; skips comments and string
/// literals.
struct Words<'a> {
    rest: &'a str,
}

impl<'a> Iterator for Words<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        let separates = |c: char| c.is_whitespace() || matches!(c, '(' | ')' | ',');
        loop {
            let rest = self.rest.trim_start_matches(separates);
            if let Some(comment) = rest.strip_prefix("--") {
                self.rest = comment.split_once('\n').map_or("", |(_, after)| after);
            } else if let Some(comment) = rest.strip_prefix("/*") {
                self.rest = comment.split_once("*/").map_or("", |(_, after)| after);
            } else if let Some(literal) = rest.strip_prefix('\'') {
                self.rest = literal.split_once('\'').map_or("", |(_, after)| after);
            } else {
                let end = rest.find(separates).unwrap_or(rest.len());
                let (word, after) = rest.split_at(end);
                self.rest = after;
                return (!word.is_empty()).then_some(word);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operation_and_table() {
        for (text, expected) in [
            ("SELECT * FROM users WHERE id = 5", Some(("SELECT", "users"))),
            ("select name from \"public\".\"users\"", Some(("SELECT", "users"))),
            ("SELECT a FROM (SELECT b FROM orders) x", Some(("SELECT", ""))),
            ("INSERT INTO `orders` (a) VALUES ('FROM x')", Some(("INSERT", "orders"))),
            ("INSERT INTO orders(a, b) VALUES (1, 2)", Some(("INSERT", "orders"))),
            ("UPDATE ONLY accounts SET a = 1", Some(("UPDATE", "accounts"))),
            ("DELETE FROM shop.carts", Some(("DELETE", "shop.carts"))),
            ("WITH x AS (VALUES (1)) INSERT INTO logs SELECT 1", Some(("INSERT", "logs"))),
            ("/* id=7 */ SELECT 1", Some(("SELECT", ""))),
            ("-- note\nSELECT 1 FROM t", Some(("SELECT", "t"))),
            ("CREATE TABLE IF NOT EXISTS t (a int)", Some(("CREATE", "t"))),
            ("TRUNCATE users", Some(("TRUNCATE", "users"))),
            ("BEGIN", Some(("BEGIN", ""))),
            ("SELECT * FROM us", Some(("SELECT", "us"))),
            ("SELECT * FRO", Some(("SELECT", ""))),
            ("SELECT 'secret FROM passwords' FROM t", Some(("SELECT", "t"))),
            ("find me a hat", None),
            ("", None),
        ] {
            let found = read(text).map(|query| (query.operation, query.table));
            assert_eq!(found, expected, "{text:?}");
        }
        assert_eq!((operation("select"), operation("LPUSH")), ("SELECT", "OTHER"));
    }
}
