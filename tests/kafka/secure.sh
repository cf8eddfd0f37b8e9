# shellcheck shell=bash disable=SC2154  # `dir` is set by who includes this
# The listeners of `broker up --secure`, for the tests of TLS, mTLS and SASL.
#
# DIR gets ca.pem, client.pem and client.key, and the file `password` with the password of the user `hephaestus`.
# SASL_SSL takes SCRAM-SHA-256, SCRAM-SHA-512, PLAIN and OAUTHBEARER (unsigned tokens); SSL wants a client certificate.

# Makes a certificate authority of DIR's own, a certificate for the brokers and one for a client, and the password.
make_secrets() {
    need openssl openssl
    touch "$dir/secure"
    head -c 18 /dev/urandom | base64 | tr -d '+/=\n' >"$dir/password"
    (
        cd "$dir"
        umask 077
        openssl req -x509 -newkey rsa:2048 -nodes -days 30 -subj '/CN=hephaestus test authority' \
            -keyout ca.key -out ca.pem
        make_certificate server '/CN=localhost' 'subjectAltName=DNS:localhost,IP:127.0.0.1'
        make_certificate client '/CN=hephaestus' 'extendedKeyUsage=clientAuth'
        # Kafka reads the key and its certificates from one file.
        cat server.key server.pem ca.pem >server-keystore.pem
    ) >"$dir/certificates.log" 2>&1 || { cat "$dir/certificates.log" >&2; die "cannot make certificates in $dir"; }
}

make_certificate() {
    local name="$1" subject="$2" extension="$3"
    openssl req -newkey rsa:2048 -nodes -subj "$subject" -keyout "$name.key" -out "$name.csr"
    printf '%s\n' "$extension" >"$name.ext"
    openssl x509 -req -in "$name.csr" -CA ca.pem -CAkey ca.key -CAcreateserial -days 30 -extfile "$name.ext" \
        -out "$name.pem"
}

# Prints what a broker adds to its listeners.
secure_listeners() {
    if [ ! -f "$dir/secure" ]; then return; fi
    printf ',SASL_SSL://127.0.0.1:%s,SSL://127.0.0.1:%s' "$(<"$1/sasl-port")" "$(<"$1/ssl-port")"
}

# Prints the settings of both listeners.
secure_properties() {
    local modules=org.apache.kafka.common.security password
    password="$(<"$dir/password")"
    cat <<PROPERTIES
ssl.keystore.type=PEM
ssl.keystore.location=$dir/server-keystore.pem
ssl.truststore.type=PEM
ssl.truststore.location=$dir/ca.pem
listener.name.ssl.ssl.client.auth=required
listener.name.sasl_ssl.ssl.client.auth=none
listener.name.sasl_ssl.sasl.enabled.mechanisms=SCRAM-SHA-256,SCRAM-SHA-512,PLAIN,OAUTHBEARER
listener.name.sasl_ssl.scram-sha-256.sasl.jaas.config=$modules.scram.ScramLoginModule required;
listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config=$modules.scram.ScramLoginModule required;
listener.name.sasl_ssl.plain.sasl.jaas.config=$modules.plain.PlainLoginModule required user_hephaestus="$password";
listener.name.sasl_ssl.oauthbearer.sasl.jaas.config=$modules.oauthbearer.OAuthBearerLoginModule required unsecuredLoginStringClaim_sub="broker";
PROPERTIES
}
