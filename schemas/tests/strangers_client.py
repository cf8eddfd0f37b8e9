"""Reads and writes values as any Python program would, with Confluent's own client.

Usage: strangers_client.py REGISTRY_URL
Standard input: a JSON object a line: topic, and value (the bytes in hexadecimal).
Standard output: for each line an object: value (as JSON) and bytes (written again, hexadecimal).
"""

import datetime
import json
import sys

from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer, AvroSerializer
from confluent_kafka.serialization import MessageField, SerializationContext

EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)


def plain(value):
    """Times as the microseconds that JSON has for them."""
    if isinstance(value, datetime.datetime):
        return (value - EPOCH) // datetime.timedelta(microseconds=1)
    if isinstance(value, dict):
        return {name: plain(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [plain(inner) for inner in value]
    return value


def main(url):
    client = SchemaRegistryClient({"url": url})
    read = AvroDeserializer(client)
    for line in sys.stdin:
        given = json.loads(line)
        context = SerializationContext(given["topic"], MessageField.VALUE)
        value = read(bytes.fromhex(given["value"]), context)
        latest = client.get_latest_version(given["topic"] + "-value")
        # Registers the schema, as a program does that knows of no other.
        write = AvroSerializer(client, latest.schema.schema_str)
        written = write(value, context)
        print(json.dumps({"value": plain(value), "bytes": written.hex()}), flush=True)


main(sys.argv[1])
