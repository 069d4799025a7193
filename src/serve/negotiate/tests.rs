//! Tests with headers of real scrapers and with malformed ones.

use super::*;

const CLASSIC: &str = "text/plain; version=0.0.4; charset=utf-8";
const OPEN: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8; escaping=";
const DRAFT: &str = "application/openmetrics-text; version=0.0.1; charset=utf-8; escaping=";

#[test]
fn the_format_is_negotiated() {
    let prometheus = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,\
        application/openmetrics-text;version=0.0.1;q=0.4,\
        text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,\
        text/plain;version=0.0.4;q=0.2,*/*;q=0.1";
    let with_protobuf = format!(
        "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;\
         encoding=delimited;q=0.6,{prometheus}"
    );
    let with_two = format!("application/openmetrics-text;version=2.0.0;q=0.6,{prometheus}");
    let prometheus_2 = "application/openmetrics-text;version=1.0.0,\
        application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
    let browser = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8";
    let utf8 = format!("{OPEN}allow-utf-8");
    let open = format!("{OPEN}underscores");
    let draft = format!("{DRAFT}underscores");
    let check = |header: Option<&str>, expected: &str| {
        let chosen = accept(header);
        assert_eq!(chosen.content_type, expected, "{header:?}");
        let open = chosen.encoding == Encoding::OpenMetrics;
        assert_eq!(open, expected.starts_with("application/openmetrics-text"), "{header:?}");
    };
    check(None, CLASSIC);
    check(Some(""), CLASSIC);
    check(Some("*/*"), CLASSIC);
    check(Some("text/*"), CLASSIC);
    check(Some("text/plain"), CLASSIC);
    check(Some(browser), CLASSIC);
    check(Some(prometheus), &utf8);
    check(Some(&with_protobuf), &utf8);
    check(Some(&with_two), &utf8);
    check(Some(prometheus_2), &open);
    check(Some("application/openmetrics-text"), &draft);
    check(Some("application/openmetrics-text; version=0.0.1"), &draft);
    check(Some("application/openmetrics-text; version=2.0.0"), CLASSIC);
    check(Some("application/openmetrics-text; version=\"1.0.0\""), &open);
    check(Some("APPLICATION/OpenMetrics-Text; Version=1.0.0"), &open);
    check(
        Some("application/openmetrics-text;version=1.0.0;q=0.2, text/plain;version=0.0.4;q=0.3"),
        CLASSIC,
    );
    check(Some("text/plain;version=0.0.4;q=0.5, application/openmetrics-text;q=0.5"), CLASSIC);
    check(Some("application/openmetrics-text;version=1.0.0;q=0, */*;q=0.1"), CLASSIC);
    check(Some("application/openmetrics-text;version=1.0.0;q=0"), CLASSIC);
    check(Some("application/openmetrics-text;version=1.0.0;q=-1"), CLASSIC);
    check(Some("application/openmetrics-text;version=1.0.0;q=NaN"), CLASSIC);
    check(Some("application/openmetrics-text;version=1.0.0;q=7"), CLASSIC);
    check(
        Some("application/openmetrics-text;version=1.0.0;escaping=values"),
        &format!("{OPEN}values"),
    );
    check(Some("application/openmetrics-text;version=1.0.0;escaping=dots"), &open);
    check(
        Some("text/plain;version=1.0.0;escaping=allow-utf-8"),
        "text/plain; version=1.0.0; charset=utf-8; escaping=allow-utf-8",
    );
    check(
        Some("text/plain;version=0.0.4;escaping=allow-utf-8"),
        "text/plain; version=0.0.4; charset=utf-8; escaping=allow-utf-8",
    );
    check(Some("application/vnd.google.protobuf"), CLASSIC);
    check(Some(";;;,,=,q=,/"), CLASSIC);
}

#[test]
fn gzip_is_taken_only_when_offered() {
    for (header, expected) in [
        (None, false),
        (Some(""), false),
        (Some("gzip"), true),
        (Some("GZIP"), true),
        (Some("deflate, gzip;q=0.5"), true),
        (Some("gzip;q=0"), false),
        (Some("gzip;q=0.000, *"), false),
        (Some("*"), true),
        (Some("*;q=0"), false),
        (Some("identity"), false),
        (Some("zstd"), false),
        (Some("zstd, gzip"), true),
        (Some("gzip;q=x"), false),
    ] {
        assert_eq!(gzip(header), expected, "{header:?}");
    }
}

#[test]
fn the_shape_of_the_report_is_negotiated() {
    for (header, expected) in [
        (None, Report::Indented),
        (Some("*/*"), Report::Indented),
        (Some("application/json"), Report::Json),
        (Some("application/health+json"), Report::Ietf),
        (Some("application/health+json, */*;q=0.1"), Report::Ietf),
        (Some("text/plain"), Report::Text),
        (Some("text/plain;q=0.5, application/json"), Report::Json),
        (Some("text/html,application/xml;q=0.9,*/*;q=0.8"), Report::Indented),
        (Some("application/health+json;q=0"), Report::Indented),
        (Some("nonsense"), Report::Indented),
        (Some("application/json, */*;q=0.1"), Report::Json),
    ] {
        assert_eq!(report(header), expected, "{header:?}");
    }
}
