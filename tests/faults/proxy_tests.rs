//! The proxy on its own, between plain sockets.

use std::{io::ErrorKind, time::Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;

/// How long nothing is awaited.
const NOTHING: Duration = Duration::from_millis(100);

/// A client, the server's end of its connection, and the proxy between them.
async fn connected() -> (Proxy, TcpListener, TcpStream, TcpStream) {
    let server = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let proxy = Proxy::start(server.local_addr().unwrap()).await.unwrap();
    let client = TcpStream::connect(proxy.address()).await.unwrap();
    let (accepted, _) = server.accept().await.unwrap();
    (proxy, server, client, accepted)
}

async fn say(to: &mut TcpStream, text: &str) {
    to.write_all(text.as_bytes()).await.unwrap();
}

async fn hear(from: &mut TcpStream, length: usize) -> String {
    let mut buffer = vec![0; length];
    from.read_exact(&mut buffer).await.unwrap();
    String::from_utf8(buffer).unwrap()
}

async fn hears_nothing(from: &mut TcpStream) {
    let mut buffer = [0; 1];
    assert!(tokio::time::timeout(NOTHING, from.read(&mut buffer)).await.is_err());
}

async fn until(proxy: &Proxy, is_reached: impl Fn(Counts) -> bool) {
    while !is_reached(proxy.counts()) {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

async fn is_reset(from: &mut TcpStream) {
    let mut buffer = [0; 1];
    let error = from.read(&mut buffer).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
}

#[tokio::test]
async fn bytes_pass_both_ways_and_so_does_the_end() {
    let (proxy, _server, mut client, mut accepted) = connected().await;
    say(&mut client, "to the broker").await;
    assert_eq!(hear(&mut accepted, 13).await, "to the broker");
    say(&mut accepted, "and back").await;
    assert_eq!(hear(&mut client, 8).await, "and back");
    drop(client);
    assert_eq!(accepted.read(&mut [0; 1]).await.unwrap(), 0);
    let counts = Counts { accepted: 1, passed: 21, ..Counts::default() };
    assert_eq!(proxy.counts(), counts);
}

#[tokio::test]
async fn slow_bytes_come_late_and_whole() {
    let (proxy, _server, mut client, mut accepted) = connected().await;
    proxy.set(Mode::Slow { latency_ms: 20, bytes_per_second: 1_000 }, 1);
    let started = Instant::now();
    say(&mut client, &"x".repeat(80)).await;
    assert_eq!(hear(&mut accepted, 80).await, "x".repeat(80));
    assert!(started.elapsed() >= Duration::from_millis(100));
    assert!(proxy.counts().slowed > 0);
}

#[tokio::test]
async fn a_frozen_connection_stays_open_and_goes_on_where_it_was() {
    let (proxy, server, mut client, mut accepted) = connected().await;
    proxy.set(Mode::Frozen, 1);
    say(&mut client, "cold").await;
    hears_nothing(&mut accepted).await;
    let mut late = TcpStream::connect(proxy.address()).await.unwrap();
    say(&mut late, "late").await;
    let (mut late_accepted, _) = server.accept().await.unwrap();
    hears_nothing(&mut late_accepted).await;
    until(&proxy, |counts| counts.held == 2).await;
    proxy.heal();
    assert_eq!(hear(&mut accepted, 4).await, "cold");
    assert_eq!(hear(&mut late_accepted, 4).await, "late");
    assert_eq!(proxy.counts().reset, 0);
}

#[tokio::test]
async fn the_end_of_a_frozen_connection_is_not_seen() {
    let (proxy, _server, client, mut accepted) = connected().await;
    proxy.set(Mode::Frozen, 1);
    drop(client);
    hears_nothing(&mut accepted).await;
    proxy.heal();
    assert_eq!(accepted.read(&mut [0; 1]).await.unwrap(), 0);
}

#[tokio::test]
async fn a_half_open_connection_loses_one_direction_and_is_reset_in_the_end() {
    let (proxy, _server, mut client, mut accepted) = connected().await;
    proxy.set(Mode::HalfOpen(Direction::ToBroker), 1);
    say(&mut client, "lost").await;
    until(&proxy, |counts| counts.lost == 4).await;
    say(&mut accepted, "heard").await;
    assert_eq!(hear(&mut client, 5).await, "heard");
    hears_nothing(&mut accepted).await;
    proxy.heal();
    is_reset(&mut client).await;
    is_reset(&mut accepted).await;
    assert_eq!(proxy.counts().reset, 1);
}

#[tokio::test]
async fn a_half_open_connection_that_lost_nothing_is_left_alone() {
    let (proxy, _server, mut client, mut accepted) = connected().await;
    proxy.set(Mode::HalfOpen(Direction::ToClient), 1);
    say(&mut client, "heard").await;
    assert_eq!(hear(&mut accepted, 5).await, "heard");
    proxy.heal();
    say(&mut accepted, "again").await;
    assert_eq!(hear(&mut client, 5).await, "again");
}

#[tokio::test]
async fn the_answer_to_one_kind_of_request_is_lost() {
    let (proxy, _server, mut client, mut accepted) = connected().await;
    proxy.set(Mode::LoseAnswers(24), 1);
    say(&mut client, "\0\0\0\x02\0\x03").await;
    assert_eq!(hear(&mut accepted, 6).await.as_bytes()[5], 3);
    say(&mut accepted, "heard").await;
    assert_eq!(hear(&mut client, 5).await, "heard");
    say(&mut client, "\0\0\0\x02\0\x18").await;
    assert_eq!(hear(&mut accepted, 6).await.as_bytes()[5], 24);
    say(&mut accepted, "lost").await;
    until(&proxy, |counts| counts.lost == 4).await;
    hears_nothing(&mut client).await;
    proxy.heal();
    is_reset(&mut client).await;
    assert_eq!(proxy.counts().reset, 1);
}

#[tokio::test]
async fn a_request_of_one_kind_comes_late_when_its_client_is_gone() {
    let (proxy, _server, mut client, mut accepted) = connected().await;
    proxy.set(Mode::Late(26), 1);
    say(&mut client, "\0\0\0\x02\0\x03").await;
    assert_eq!(hear(&mut accepted, 6).await.as_bytes()[5], 3);
    say(&mut client, "\0\0\0\x02\0\x1a").await;
    is_reset(&mut client).await;
    until(&proxy, |counts| counts.kept == 1).await;
    // Another mode does not let it go.
    proxy.set(Mode::Pass, 1);
    hears_nothing(&mut accepted).await;
    proxy.release();
    assert_eq!(hear(&mut accepted, 6).await.as_bytes()[5], 26);
    assert_eq!(proxy.counts().late, 0);
    say(&mut accepted, "done").await;
    until(&proxy, |counts| counts.late == 1).await;
}

#[tokio::test]
async fn a_share_of_the_requests_comes_late_whatever_connection_they_come_by() {
    let (proxy, server, mut first, mut first_accepted) = connected().await;
    let mut second = TcpStream::connect(proxy.address()).await.unwrap();
    let (mut second_accepted, _) = server.accept().await.unwrap();
    proxy.set(Mode::Late(25), 2);
    say(&mut second, "\0\0\0\x02\0\x19").await;
    is_reset(&mut second).await;
    until(&proxy, |counts| counts.kept == 1).await;
    say(&mut first, "\0\0\0\x02\0\x19").await;
    assert_eq!(hear(&mut first_accepted, 6).await.as_bytes()[5], 25);
    say(&mut first, "\0\0\0\x02\0\x19").await;
    is_reset(&mut first).await;
    until(&proxy, |counts| counts.kept == 2).await;
    hears_nothing(&mut second_accepted).await;
}

#[tokio::test]
async fn requests_of_one_kind_wait() {
    let (proxy, _server, mut client, mut accepted) = connected().await;
    proxy.set(Mode::Hold(25), 1);
    say(&mut client, "\0\0\0\x02\0\x19").await;
    until(&proxy, |counts| counts.held == 1).await;
    proxy.release();
    hears_nothing(&mut accepted).await;
    proxy.heal();
    assert_eq!(hear(&mut accepted, 6).await.as_bytes()[5], 25);
}

#[tokio::test]
async fn connections_are_reset_and_new_ones_too_until_it_heals() {
    let (proxy, server, mut client, mut accepted) = connected().await;
    proxy.set(Mode::Reset, 1);
    is_reset(&mut client).await;
    is_reset(&mut accepted).await;
    let mut refused = TcpStream::connect(proxy.address()).await.unwrap();
    is_reset(&mut refused).await;
    assert_eq!(proxy.counts().reset, 2);
    let _ = server.accept().await.unwrap();
    proxy.heal();
    let mut client = TcpStream::connect(proxy.address()).await.unwrap();
    let (mut accepted, _) = server.accept().await.unwrap();
    say(&mut client, "again").await;
    assert_eq!(hear(&mut accepted, 5).await, "again");
}

#[tokio::test]
async fn a_share_of_the_connections_can_be_struck() {
    let (proxy, server, mut first, mut first_accepted) = connected().await;
    let mut second = TcpStream::connect(proxy.address()).await.unwrap();
    let (mut second_accepted, _) = server.accept().await.unwrap();
    proxy.set(Mode::Frozen, 2);
    say(&mut first, "first").await;
    say(&mut second, "second").await;
    assert_eq!(hear(&mut second_accepted, 6).await, "second");
    hears_nothing(&mut first_accepted).await;
}

#[tokio::test]
async fn a_client_is_reset_where_no_broker_listens() {
    let server = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = server.local_addr().unwrap();
    drop(server);
    let proxy = Proxy::start(address).await.unwrap();
    let mut client = TcpStream::connect(proxy.address()).await.unwrap();
    is_reset(&mut client).await;
}
