use hephaestus_schemas::Severity::{self, Debug, Error, Info, Warn};

use crate::parse::parse;

/// 2024-06-15T12:00:00Z.
const REFERENCE: i64 = 1_718_452_800_000_000;

#[test]
fn finds_the_message_behind_common_headers() {
    let cases: [(&str, Option<Severity>, &str); 53] = [
        (
            "17/06/09 20:10:40 INFO executor.CoarseGrainedExecutorBackend: Registered signal handlers for [TERM]",
            Some(Info),
            "Registered signal handlers for [TERM]",
        ),
        (
            "- 1117838570 2005.06.03 R02-M1-N0-C:J12-U11 2005-06-03-15.42.50.675872 R02-M1-N0-C:J12-U11 RAS KERNEL INFO instruction cache parity error corrected",
            Some(Info),
            "instruction cache parity error corrected",
        ),
        (
            "- 1131566461 2005.11.09 dn228 Nov 9 12:01:01 dn228/dn228 crond(pam_unix)[2915]: session closed for user root",
            None,
            "session closed for user root",
        ),
        (
            "2016-09-28 04:30:30, Info                  CBS    Loaded Servicing Stack v6.1 with Core: x",
            Some(Info),
            "Loaded Servicing Stack v6.1 with Core: x",
        ),
        (
            "03-17 16:13:38.811  1702  2395 D WindowManager: printFreezingDisplayLogs opening",
            Some(Debug),
            "printFreezingDisplayLogs opening",
        ),
        (
            "nova-api.log.1.2017-05-16_13:53:08 2017-05-16 00:00:00.008 25746 INFO nova.osapi_compute.wsgi.server [req-38 113d 54fa - - -] 10.11.10.1 \"GET /v2/54/servers HTTP/1.1\" status: 200",
            Some(Info),
            "10.11.10.1 \"GET /v2/54/servers HTTP/1.1\" status: 200",
        ),
        (
            "Jul  1 09:00:55 calvisitor-10-105-160-95 kernel[0]: IOThunderboltSwitch<0>(0x0)::listener - x",
            None,
            "IOThunderboltSwitch<0>(0x0)::listener - x",
        ),
        (
            "Jul  1 09:01:06 host com.apple.xpc.launchd[1] (com.apple.x[123]): Service exited",
            None,
            "Service exited",
        ),
        (
            "134681 node-246 unix.hw state_change.unavailable 1077804742 1 Component State Change: x",
            None,
            "1 Component State Change: x",
        ),
        ("2024-01-01 12:00:00,123 - myapp.db - ERROR - it broke", Some(Error), "it broke"),
        ("2024-01-01 12:00:00,123 - myapp - ERROR - it broke", Some(Error), "it broke"),
        ("2024-01-01 12:00:00,123 ERROR myapp.views: it broke", Some(Error), "it broke"),
        ("2024-01-01 12:00:00,123 [ERROR] myapp.views: it broke", Some(Error), "it broke"),
        ("ERROR:root:it broke", Some(Error), "it broke"),
        (
            "INFO:     127.0.0.1:5000 - \"GET / HTTP/1.1\" 200 OK",
            Some(Info),
            "127.0.0.1:5000 - \"GET / HTTP/1.1\" 200 OK",
        ),
        ("12:00:00.123 [main] INFO  com.foo.Bar - it broke", Some(Info), "it broke"),
        (
            "2024-01-01 12:00:00.123  WARN 1234 --- [  restartedMain] o.s.b.w.TomcatWebServer  : it broke",
            Some(Warn),
            "it broke",
        ),
        (
            "2024-01-01T12:00:00.123Z  INFO 1 --- [app] [nio-8080-exec-1] c.e.Demo : it broke",
            Some(Info),
            "it broke",
        ),
        ("2009/11/10 23:00:00 it broke", None, "it broke"),
        ("2009/11/10 23:00:00 main.go:23: it broke", None, "it broke"),
        ("[2024-01-01T00:00:00Z INFO  mycrate::module] it broke", Some(Info), "it broke"),
        ("2024-01-01T00:00:00.123456Z  INFO mycrate::module: it broke", Some(Info), "it broke"),
        ("I0102 15:04:05.678901   12345 file.go:123] it broke", Some(Info), "it broke"),
        (
            "2024-01-01 00:00:00.000 UTC [123] ERROR:  relation \"x\" does not exist",
            Some(Error),
            "relation \"x\" does not exist",
        ),
        (
            "2024-01-01T00:00:00.000000Z 0 [Warning] [MY-010068] [Server] it broke",
            Some(Warn),
            "it broke",
        ),
        (
            "[2024-01-01 00:00:00,123] ERROR it broke (kafka.server.KafkaServer)",
            Some(Error),
            "it broke (kafka.server.KafkaServer)",
        ),
        ("2019/12/12 11:00:00 [error] 123#123: *5 open() failed", Some(Error), "*5 open() failed"),
        ("[error] it broke", Some(Error), "it broke"),
        ("WARNING: it broke", Some(Warn), "it broke"),
        (
            "<34>Oct 11 22:14:15 mymachine su: 'su root' failed",
            Some(Severity::Fatal),
            "'su root' failed",
        ),
        (
            "<165>1 2003-10-11T22:14:15.003Z host app 12 ID47 [ex@1 a=\"b\"] it broke",
            Some(Info),
            "it broke",
        ),
        ("[10.30 16:49:06] chrome.exe *64 - proxy.x.hk:5070 close", None, "proxy.x.hk:5070 close"),
        ("2024-01-01 12:00:00 Got an ERROR from server", None, "Got an ERROR from server"),
        (
            "Backup finished at 2024-01-01 12:00:00 for x",
            None,
            "Backup finished at 2024-01-01 12:00:00 for x",
        ),
        ("error: it broke", Some(Error), "error: it broke"),
        ("fail: Acme.Worker[0]", Some(Error), "fail: Acme.Worker[0]"),
        ("PHP Fatal error:  it broke", Some(Severity::Fatal), "PHP Fatal error:  it broke"),
        ("Parse error: it broke", Some(Error), "Parse error: it broke"),
        ("No error: it runs", None, "No error: it runs"),
        ("[2024-01-01 12:00:00,123: ERROR/ForkPoolWorker-1] it broke", Some(Error), "it broke"),
        (
            "[2024-01-01T12:00:00.123+0000] {taskinstance.py:1824} ERROR - it broke",
            Some(Error),
            "it broke",
        ),
        ("2024-01-01 12:00:00.123 UTC [123] app@shop ERROR:  it broke", Some(Error), "it broke"),
        (
            "LINKDOWN 1117838570 2005.06.03 R02-M1 2005-06-03-15.42.50.675872 R02-M1 RAS KERNEL FATAL it broke",
            Some(Severity::Fatal),
            "it broke",
        ),
        ("2557461 node-7 action start 1074119817 1 reboot it broke", None, "1 reboot it broke"),
        ("42 web-7 jobs began at 12:00:01 sharp", None, "42 web-7 jobs began at 12:00:01 sharp"),
        ("42 web-7 jobs in 1074119817654 ns", None, "42 web-7 jobs in 1074119817654 ns"),
        ("ALERT_7 2024-01-01 12:00:00 web-1 it broke", None, "web-1 it broke"),
        (
            "- 1131566461 2005.11.09 cn228 Nov 9 12:01:01 cn228/cn228 kernel: usb: it broke",
            None,
            "usb: it broke",
        ),
        ("Done 2024-01-01 12:00:00 with it", None, "Done 2024-01-01 12:00:00 with it"),
        (
            "2024-01-01 12:00:00.123 4711 INFO app.db.api [req-7 a b - - -] it broke",
            Some(Info),
            "it broke",
        ),
        ("01-15 10:11:12.123   701  1804 E Radio   : it broke", Some(Error), "it broke"),
        ("01-15 10:11:12.123 E/Radio(  701): it broke", Some(Error), "it broke"),
        ("1705312345.123 [main] ERROR app - it broke", Some(Error), "it broke"),
    ];
    for (line, severity, message) in cases {
        let parsed = parse(line, REFERENCE);
        assert_eq!(parsed.message, message, "{line}");
        assert_eq!(parsed.severity, severity, "{line}");
    }
}
