package hephaestus.compare;

/** Steps over the bytes of a text that ends at a limit; reading past it yields NUL. */
final class Scan {
    private static final int DIGIT = 1, UPPER = 2, LOWER = 4, UNDERSCORE = 8, HEX = 16;
    private static final byte[] CLASS = new byte[256];

    static {
        for (int c = 0; c < 256; c++) {
            int bits = 0;
            if (c >= '0' && c <= '9') bits |= DIGIT | HEX;
            if (c >= 'A' && c <= 'Z') bits |= UPPER;
            if (c >= 'a' && c <= 'z') bits |= LOWER;
            if (c == '_') bits |= UNDERSCORE;
            if ((c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F')) bits |= HEX;
            CLASS[c] = (byte) bits;
        }
    }

    private Scan() {}

    static int at(byte[] text, int limit, int pos) {
        return pos >= 0 && pos < limit ? text[pos] & 0xff : 0;
    }

    static boolean digit(int c) {
        return c >= '0' && c <= '9';
    }

    static boolean upper(int c) {
        return c >= 'A' && c <= 'Z';
    }

    static boolean lower(int c) {
        return c >= 'a' && c <= 'z';
    }

    static boolean alpha(int c) {
        return (CLASS[c] & (UPPER | LOWER)) != 0;
    }

    static boolean alnum(int c) {
        return (CLASS[c] & (UPPER | LOWER | DIGIT)) != 0;
    }

    static boolean ident(int c) {
        return (CLASS[c] & (UPPER | LOWER | DIGIT | UNDERSCORE)) != 0;
    }

    static boolean hex(int c) {
        return (CLASS[c] & HEX) != 0;
    }

    static int skipSpaces(byte[] text, int limit, int pos) {
        while (pos < limit && (text[pos] == ' ' || text[pos] == '\t')) pos++;
        return pos;
    }

    static int tokenEnd(byte[] text, int limit, int pos) {
        while (pos < limit && text[pos] != ' ' && text[pos] != '\t') pos++;
        return pos;
    }

    static int digitsEnd(byte[] text, int limit, int pos) {
        while (pos < limit && digit(text[pos] & 0xff)) pos++;
        return pos;
    }

    static int alphaEnd(byte[] text, int limit, int pos) {
        while (pos < limit && alpha(text[pos] & 0xff)) pos++;
        return pos;
    }

    static int hexEnd(byte[] text, int limit, int pos) {
        while (pos < limit && hex(text[pos] & 0xff)) pos++;
        return pos;
    }

    static int indexOf(byte[] text, int limit, int pos, int wanted) {
        for (; pos < limit; pos++) {
            if (text[pos] == wanted) return pos;
        }
        return -1;
    }

    static boolean startsWith(byte[] text, int limit, int pos, byte[] prefix) {
        if (pos < 0 || pos + prefix.length > limit) return false;
        for (int i = 0; i < prefix.length; i++) {
            if (text[pos + i] != prefix[i]) return false;
        }
        return true;
    }

    static boolean startsWithIgnoreCase(byte[] text, int limit, int pos, byte[] lowerPrefix) {
        if (pos < 0 || pos + lowerPrefix.length > limit) return false;
        for (int i = 0; i < lowerPrefix.length; i++) {
            int c = text[pos + i];
            if (c >= 'A' && c <= 'Z') c |= 32;
            if (c != lowerPrefix[i]) return false;
        }
        return true;
    }

    static byte[] ascii(String text) {
        return text.getBytes(java.nio.charset.StandardCharsets.ISO_8859_1);
    }
}
