package hephaestus.compare;

import java.util.Arrays;

/** Bytes that grow at the end, kept from one record to the next. */
final class Out {
    byte[] bytes = new byte[1024];
    int length;

    void clear() {
        length = 0;
    }

    private void room(int more) {
        if (length + more > bytes.length) {
            bytes = Arrays.copyOf(bytes, Math.max(bytes.length * 2, length + more));
        }
    }

    void put(int value) {
        room(1);
        bytes[length++] = (byte) value;
    }

    void put(byte[] text) {
        put(text, 0, text.length);
    }

    void put(byte[] text, int start, int end) {
        int size = end - start;
        room(size);
        System.arraycopy(text, start, bytes, length, size);
        length += size;
    }

    int last() {
        return length == 0 ? 0 : bytes[length - 1] & 0xff;
    }

    boolean endsWith(byte[] text, int end) {
        return end >= text.length && Scan.startsWith(bytes, end, end - text.length, text);
    }

    void trimEnd() {
        while (length > 0 && (bytes[length - 1] == ' ' || bytes[length - 1] == '\t')) length--;
    }

    byte[] copy() {
        return Arrays.copyOf(bytes, length);
    }

    /** A number as Avro writes int and long: zigzag, seven bits a byte. */
    void number(long value) {
        room(10);
        long rest = (value << 1) ^ (value >> 63);
        while ((rest & ~0x7fL) != 0) {
            bytes[length++] = (byte) (rest | 0x80);
            rest >>>= 7;
        }
        bytes[length++] = (byte) rest;
    }

    /** A string as Avro writes it: its length, then its bytes. */
    void text(byte[] text, int start, int end) {
        number(end - start);
        put(text, start, end);
    }

    void text(byte[] text) {
        text(text, 0, text.length);
    }

    /** A number in decimal digits. */
    void decimal(long value) {
        room(20);
        if (value >= 10) decimal(value / 10);
        put('0' + (int) (value % 10));
    }
}
