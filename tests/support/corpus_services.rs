//! Lines of well-known programs, as they write them without configuration: klog, Spring Boot, Serilog
//! in compact JSON, HAProxy, PostgreSQL. Unit: one line, and what it adds to the samples.

use super::{Random, Request, SERVICE_DEFAULT, Totals, milliseconds};
use std::fmt::Write as _;

/// Seconds and milliseconds of a line's time, as hours, minutes, seconds, milliseconds.
fn clock(time_ms: u64) -> (u64, u64, u64, u64) {
    let s = time_ms / 1_000 % 86_400;
    (s / 3_600, s / 60 % 60, s % 60, time_ms % 1_000)
}

fn count(totals: &mut Totals, level: &'static str) {
    *totals.records.entry((SERVICE_DEFAULT, level)).or_default() += 1;
}

/// `I1121 10:00:00.123456       1 controller.go:138] "Reconciled" pod="shop/web-7"`.
pub(super) fn klog(number: usize, random: &mut Random, out: &mut String, totals: &mut Totals) {
    const PLACES: [(&str, u32); 6] = [
        ("controller.go", 138),
        ("reflector.go", 351),
        ("shared_informer.go", 320),
        ("leaderelection.go", 258),
        ("event.go", 389),
        ("garbagecollector.go", 144),
    ];
    let (h, m, s, ms) = clock(number as u64 * 7);
    let letters = [("I", "INFO"), ("I", "INFO"), ("I", "INFO"), ("W", "WARN"), ("E", "ERROR")];
    let (letter, level) = random.pick(&letters);
    let (file, line) = random.pick(&PLACES);
    let (us, pod) = (random.below(1_000), random.hex(5));
    let _ = write!(out, "{letter}1121 {h:02}:{m:02}:{s:02}.{ms:03}{us:03}       1 {file}:{line}] ");
    let _ = match random.below(3) {
        0 => write!(out, "\"Reconciled\" pod=\"shop/web-{pod}\" attempts={}", random.below(4)),
        1 => write!(out, "Waiting for caches to sync for {file}"),
        _ => write!(out, "Stopping worker {} of pod web-{pod}", random.below(90)),
    };
    count(totals, level);
}

/// `2026-11-21T10:00:00.123Z  INFO 1 --- [shop] [nio-8080-exec-3] c.s.OrderController : text`.
pub(super) fn spring(number: usize, random: &mut Random, out: &mut String, totals: &mut Totals) {
    const LOGGERS: [&str; 6] = [
        "c.s.orders.OrderController",
        "c.s.payments.PaymentService",
        "o.s.web.servlet.DispatcherServlet",
        "com.zaxxer.hikari.HikariDataSource",
        "o.a.c.c.C.[Tomcat].[localhost].[/]",
        "c.s.catalog.CatalogRepository",
    ];
    let (h, m, s, ms) = clock(number as u64 * 7);
    let levels = [" INFO", " INFO", " INFO", "DEBUG", " WARN", "ERROR"];
    let level = random.pick(&levels);
    let (thread, logger) = (random.below(10) + 1, random.pick(&LOGGERS));
    let _ = write!(
        out,
        "2026-11-21T{h:02}:{m:02}:{s:02}.{ms:03}Z {level} 1 --- [nio-8080-exec-{thread}] {logger:<40} : "
    );
    let _ = match random.below(3) {
        0 => {
            write!(out, "Order {} placed by customer {}", random.below(9_999), random.below(9_999))
        }
        1 => write!(out, "Completed initialization in {} ms", random.below(900)),
        _ => write!(out, "Payment of session {} was declined", random.hex(8)),
    };
    count(totals, level.trim());
}

/// `{"@t":"...","@m":"HTTP GET /orders responded 200 in 12.5 ms","@i":"62d0885c",...}`.
pub(super) fn serilog(request: &Request, random: &mut Random, out: &mut String) {
    let (h, m, s, ms) = clock(request.time_ms);
    let took = milliseconds(request.hundredths);
    let Request { method, path, status, .. } = request;
    let level = match request.level {
        "ERROR" => "\"@l\":\"Error\",",
        "WARNING" => "\"@l\":\"Warning\",",
        _ => "",
    };
    let _ = write!(
        out,
        "{{\"@t\":\"2026-11-21T{h:02}:{m:02}:{s:02}.{ms:03}0000Z\",\"@m\":\"HTTP {method} {path} responded {status} in {took} ms\",\"@i\":\"62d0885c\",{level}\"Elapsed\":{took},\"StatusCode\":{status},\"RequestMethod\":\"{method}\",\"RequestPath\":\"{path}\",\"SourceContext\":\"Serilog.AspNetCore.RequestLoggingMiddleware\",\"RequestId\":\"0HN{}:{:08}\",\"ConnectionId\":\"0HN{}\"}}",
        random.hex(10),
        random.below(90),
        random.hex(10)
    );
}

/// `10.0.0.7:51234 [21/Nov/2026:10:00:00.123] web app/s1 0/0/1/11/12 200 123 - - ---- 1/1/0/0/0 0/0
/// "GET /orders HTTP/1.1"`.
pub(super) fn haproxy(request: &Request, random: &mut Random, out: &mut String) {
    let (h, m, s, ms) = clock(request.time_ms);
    let took = request.hundredths / 100;
    let _ = write!(
        out,
        "{}:{} [21/Nov/2026:{h:02}:{m:02}:{s:02}.{ms:03}] web~ app/s{} 0/0/1/{took}/{took} {} {} - - ---- {}/{}/0/0/0 0/0 \"{} {} HTTP/1.1\"",
        request.address,
        1_024 + random.below(60_000),
        random.below(4),
        request.status,
        random.below(100_000),
        random.below(90),
        random.below(90),
        request.method,
        request.path
    );
}

/// `2026-11-21 10:00:00.123 UTC [71] LOG:  duration: 37.118 ms  statement: SELECT ...`.
pub(super) fn postgres(number: usize, random: &mut Random, out: &mut String, totals: &mut Totals) {
    let (h, m, s, ms) = clock(number as u64 * 7);
    let process = 60 + random.below(20);
    let _ = write!(out, "2026-11-21 {h:02}:{m:02}:{s:02}.{ms:03} UTC [{process}] ");
    let table = random.pick(&["orders", "products", "customers"]);
    let took = (random.below(200), random.below(1_000));
    let level = match random.below(10) {
        0 => {
            let _ = write!(
                out,
                "ERROR:  relation \"{}\" does not exist at character 15",
                random.hex(6)
            );
            "ERROR"
        }
        1 => {
            let _ = write!(out, "LOG:  connection authorized: user=shop database=shop");
            "INFO"
        }
        _ => {
            let _ = write!(
                out,
                "LOG:  duration: {}.{:03} ms  statement: SELECT * FROM {table} WHERE id = {}",
                took.0,
                took.1,
                random.below(100_000)
            );
            "INFO"
        }
    };
    count(totals, level);
}
