//! Tests of the notations of nginx and Apache.

use super::*;

#[test]
fn nginx_as_it_stands() {
    let pattern = "$remote_addr - $remote_user [$time_local] \"$request\" $status \
                   $body_bytes_sent \"$http_referer\" \"$http_user_agent\" $upstream_response_time \
                   $request_time $request_id";
    let line = "192.0.2.7 - - [02/Jan/2026:03:04:05 +0000] \"GET /orders/17?x=1 HTTP/1.1\" 503 12 \
                \"-\" \"curl/8 \\x22q\\x22\" 0.100, 0.200 0.321 r17";
    let fields = [
        &REQUEST[..],
        &[
            CLF,
            ("duration", "0.321s"),
            ("user_agent.original", "curl/8 \"q\""),
            ("request_id", "r17"),
        ],
    ]
    .concat();
    reads(&settings(Notation::Nginx, pattern), line, &fields);
    let directive =
        format!("log_format main '{pattern}';").replace(" \"$http_ref", "'\n  ' \"$http_ref");
    reads(&settings(Notation::Nginx, &directive), line, &fields);
    let json = FormatSettings {
        escape: Some("json".to_owned()),
        ..settings(
            Notation::Nginx,
            "{\"a\":\"$http_user_agent\",\"st\":$status,\"rt\":$request_time}",
        )
    };
    reads(
        &json,
        "{\"a\":\"curl \\\"x\\\",\",\"st\":200,\"rt\":0.5}",
        &[
            ("user_agent.original", "curl \"x\","),
            ("http.response.status_code", "200"),
            ("duration", "0.5s"),
        ],
    );
    let iso = settings(Notation::Nginx, "$time_iso8601 $status");
    for time in ["2026-01-02T03:04:05+00:00", "2026-01-02T03:04:05-03:30"] {
        reads(
            &iso,
            &format!("{time} 503"),
            &[("timestamp", time), ("http.response.status_code", "503")],
        );
    }
    let bare = settings(Notation::Nginx, "${status}x $request_time $msec");
    // `-` is no status and no duration
    reads(&bare, "-x - 1767323045.678", &[("timestamp", "1767323045.678")]);
}

#[test]
fn apache_as_it_stands() {
    let pattern = "LogFormat \"%h %l %u %t \\\"%r\\\" %>s %b \\\"%{Referer}i\\\" \
                   \\\"%{User-Agent}i\\\" %D %T %{X-Request-Id}i\" combined";
    let line = "192.0.2.7 - - [02/Jan/2026:03:04:05 +0000] \"GET /orders/17?x=1 HTTP/1.1\" 503 12 \
                \"-\" \"curl \\\"8\\\"\" 321000 0 r17";
    let fields = [
        &REQUEST[..],
        &[
            CLF,
            ("duration", "321000us"),
            ("user_agent.original", "curl \"8\""),
            ("request_id", "r17"),
        ],
    ]
    .concat();
    reads(&settings(Notation::Apache, pattern), line, &fields);
    for (directive, value, duration) in [
        ("%D", "1500", Some("1500us")),
        ("%T", "2", Some("2s")),
        ("%{ms}T", "15", Some("15ms")),
        ("%{us}T", "15", Some("15us")),
        ("%!200,304{User-Agent}i", "-", None),
        ("%200,501D", "-", None),
    ] {
        let format = settings(Notation::Apache, &format!("%m %U {directive}"));
        let mut fields = vec![("http.request.method", "PUT"), ("url.path", "/a")];
        fields.extend(duration.map(|duration| ("duration", duration)));
        reads(&format, &format!("PUT /a {value}"), &fields);
    }
}
