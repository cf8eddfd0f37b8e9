//! Registries that ask for a login, and that have a certificate of their own.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use std::net::SocketAddr;

use hephaestus_schemas::{Codec, CodecLimits, Pattern, RegistryEndpoint, RegistryError};
use openssl::{
    asn1::Asn1Time,
    hash::MessageDigest,
    nid::Nid,
    pkey::PKey,
    rsa::Rsa,
    x509::{X509, X509NameBuilder, extension::SubjectAlternativeName},
};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};
use tokio_native_tls::{TlsAcceptor, native_tls};

/// `ada:secret` in base64.
const LOGIN: &str = "authorization: basic ywrhonnly3jlda==";

/// Answers one request: with an id where it brought the login.
async fn answer(mut stream: impl AsyncRead + AsyncWrite + Unpin) {
    let mut request = Vec::new();
    let mut piece = [0; 4096];
    while !request.windows(4).any(|window| window == b"\r\n\r\n") {
        let read = stream.read(&mut piece).await.unwrap();
        assert_ne!(read, 0, "no head came");
        request.extend_from_slice(&piece[..read]);
    }
    let head = String::from_utf8_lossy(&request).to_lowercase();
    let (status, body) = if head.contains(LOGIN) {
        ("200 OK", r#"{"id": 7}"#)
    } else {
        ("401 Unauthorized", r#"{"error_code": 40101, "message": "who are you"}"#)
    };
    let answer = format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\nconnection: close\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    );
    // Whoever refuses the certificate is gone by now.
    let _ = stream.write_all(answer.as_bytes()).await;
    let _ = stream.shutdown().await;
}

async fn listen() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

/// A registry behind TLS with a certificate that no system trusts; its address and that certificate.
async fn behind_tls() -> (String, Vec<u8>) {
    let key = PKey::from_rsa(Rsa::generate(2048).unwrap()).unwrap();
    let mut name = X509NameBuilder::new().unwrap();
    name.append_entry_by_nid(Nid::COMMONNAME, "localhost").unwrap();
    let name = name.build();
    let mut builder = X509::builder().unwrap();
    builder.set_version(2).unwrap();
    builder.set_subject_name(&name).unwrap();
    builder.set_issuer_name(&name).unwrap();
    builder.set_pubkey(&key).unwrap();
    builder.set_not_before(&Asn1Time::days_from_now(0).unwrap()).unwrap();
    builder.set_not_after(&Asn1Time::days_from_now(1).unwrap()).unwrap();
    let names =
        SubjectAlternativeName::new().dns("localhost").build(&builder.x509v3_context(None, None));
    builder.append_extension(names.unwrap()).unwrap();
    builder.sign(&key, MessageDigest::sha256()).unwrap();
    let certificate = builder.build().to_pem().unwrap();
    let key = key.private_key_to_pem_pkcs8().unwrap();

    let identity = native_tls::Identity::from_pkcs8(&certificate, &key).unwrap();
    let acceptor = TlsAcceptor::from(native_tls::TlsAcceptor::new(identity).unwrap());
    let (listener, address) = listen().await;
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            if let Ok(stream) = acceptor.accept::<TcpStream>(stream).await {
                answer(stream).await;
            }
        }
    });
    (format!("https://localhost:{}", address.port()), certificate)
}

async fn register(endpoint: &RegistryEndpoint) -> Result<u32, RegistryError> {
    Codec::connect_to(endpoint, CodecLimits::default())?.register::<Pattern>("patterns").await
}

#[tokio::test]
async fn a_registry_that_asks_for_a_login_gets_it() {
    let (listener, address) = listen().await;
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            answer(stream).await;
        }
    });
    let stranger = RegistryEndpoint::new(format!("http://{address}"));
    let refused = register(&stranger).await.unwrap_err();
    assert_eq!(refused, RegistryError::Unauthorized { reason: "who are you".to_owned() });
    let login = |password: &str| RegistryEndpoint {
        username: Some("ada".to_owned()),
        password: Some(password.to_owned()),
        ..stranger.clone()
    };
    let refused = register(&login("wrong-one")).await.unwrap_err().to_string();
    assert!(refused.contains("who are you") && !refused.contains("wrong-one"), "{refused}");
    assert_eq!(register(&login("secret")).await, Ok(7));
}

#[tokio::test]
async fn a_certificate_is_trusted_where_it_was_given_and_nowhere_else() {
    let (url, certificate) = behind_tls().await;
    let login = RegistryEndpoint {
        username: Some("ada".to_owned()),
        password: Some("secret".to_owned()),
        ..RegistryEndpoint::new(url)
    };
    let refused = register(&login).await.unwrap_err();
    assert!(matches!(&refused, RegistryError::Unreachable { .. }), "{refused:?}");
    assert!(refused.to_string().contains("certificate"), "{refused}");
    let trusting = RegistryEndpoint { ca: Some(certificate), ..login };
    assert_eq!(register(&trusting).await, Ok(7));
}
