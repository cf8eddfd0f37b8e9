#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{
    io::{Read, Write},
    net::TcpListener,
};

use super::*;

/// An endpoint that gives these answers, one a connection; and the requests it got.
fn endpoint(answers: Vec<(u16, &'static str)>) -> (String, thread::JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}/token", listener.local_addr().unwrap());
    let served = thread::spawn(move || {
        let mut requests = Vec::new();
        for (status, body) in answers {
            let (mut connection, _) = listener.accept().unwrap();
            let mut request = Vec::new();
            let mut buffer = [0; 4096];
            while !String::from_utf8_lossy(&request).contains("scope=kafka%20write") {
                let read = connection.read(&mut buffer).unwrap();
                assert!(read > 0, "the request ended early");
                request.extend_from_slice(&buffer[..read]);
            }
            requests.push(String::from_utf8(request).unwrap());
            let length = body.len();
            let head = format!(
                "HTTP/1.1 {status} X\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n"
            );
            connection.write_all(head.as_bytes()).unwrap();
            connection.write_all(body.as_bytes()).unwrap();
        }
        requests
    });
    (address, served)
}

fn source(endpoint: &str) -> TokenSource {
    let scope = Some("kafka write".to_owned());
    TokenSource::new(endpoint, "ada", Secret::new("hunter 2"), scope, None)
}

#[test]
fn a_token_is_fetched_once_and_used_while_it_is_fresh() {
    let (address, served) =
        endpoint(vec![(200, r#"{"access_token":"a.b-c","token_type":"bearer","expires_in":100}"#)]);
    let source = source(&address);
    let first = source.token().unwrap();
    // The endpoint is gone by now.
    let again = source.token().unwrap();
    assert_eq!((first.token.as_str(), again.token.as_str()), ("a.b-c", "a.b-c"));
    assert_eq!(first.lifetime_ms, again.lifetime_ms);
    let request = served.join().unwrap().remove(0);
    // "ada:hunter%202"
    assert!(request.contains("Basic YWRhOmh1bnRlciUyMDI="), "{request}");
    assert!(request.ends_with("grant_type=client_credentials&scope=kafka%20write"), "{request}");
}

#[test]
fn a_refusal_is_told_with_its_reason_and_without_the_secret() {
    let (address, _served) = endpoint(vec![
        (401, r#"{"error":"invalid_client"}"#),
        (500, r#"{"error":"Bearer hunter 2 is WRONG"}"#),
        (200, r#"{"access_token":"a b"}"#),
        (200, "<html>"),
        (302, ""),
    ]);
    let source = source(&address);
    let refusal = || source.token().map(|token| token.token).unwrap_err().to_string();
    assert!(refusal().ends_with("answered 401: invalid_client"));
    assert!(refusal().ends_with("answered 500: no reason given"));
    assert!(refusal().contains("gave no bearer token"));
    assert!(refusal().contains("no JSON object"));
    // The secret is not sent on to wherever the endpoint points.
    assert!(refusal().contains("answered 302"));
    let unreached = refusal();
    assert!(unreached.starts_with(&format!("token endpoint {address}: ")), "{unreached}");
}
