package hephaestus.compare;

import static hephaestus.compare.Scan.at;
import static hephaestus.compare.Scan.digit;
import static hephaestus.compare.Scan.ident;

import java.nio.charset.StandardCharsets;
import java.util.Map;
import java.util.Set;

/** Masks inside one token: addresses, paths, identifiers, numbers, quoted words. */
final class Words {
    static final int SIZE_UNIT = 1;
    static final int DURATION_UNIT = 2;
    private static final int MAX_QUOTED = 64, MIN_ID_DIGITS = 4, MAX_SCHEME = 24, MAX_RELATIVE = 256;
    private static final byte[] NUM = Scan.ascii("<num>"), HEX = Scan.ascii("<hex>"), UUID = Scan.ascii("<uuid>"),
            ID = Scan.ascii("<id>"), IP = Scan.ascii("<ip>"), PATH = Scan.ascii("<path>"), URL = Scan.ascii("<url>"),
            HOST = Scan.ascii("<host>"), STR = Scan.ascii("<str>"), SIZE = Scan.ascii("<size>"),
            DURATION = Scan.ascii("<duration>"), SECRET = Scan.ascii("<secret:"), EMAIL = Scan.ascii("<email>"),
            CARD = Scan.ascii("<card>"), FILE = Scan.ascii("file:");
    private static final Map<String, Integer> UNITS = new java.util.HashMap<>();
    private static final Set<String> GENERIC = Set.of("com", "net", "org", "edu", "gov", "mil", "int", "info", "biz", "io",
            "dev", "app", "cloud", "local", "localdomain", "internal", "lan", "corp", "arpa");
    private static final Set<String> COUNTRY = Set.of("cn", "hk", "tw", "jp", "kr", "sg", "uk", "de", "fr", "nl", "it",
            "es", "ru", "pl", "se", "ch", "at", "be", "br", "mx", "ar", "ca", "us", "au", "in", "za", "eu", "tr", "ua",
            "cz", "no", "fi", "dk", "pt", "gr", "hu", "ro", "il", "th", "vn", "my", "id", "ph", "nz", "cl", "pe", "ve",
            "tv", "cc");
    private static final boolean[] PATH_BYTE = new boolean[256], URL_END = new boolean[256];

    static {
        for (String unit : ("B byte bytes KB kB MB GB TB kb mb gb KiB MiB GiB Bytes K KBytes kbytes").split(" ")) {
            UNITS.put(unit, SIZE_UNIT);
        }
        for (String unit : ("ns us ms msec msecs s sec secs second seconds min mins minute minutes h hr hrs hour hours "
                + "day days millis milliseconds millisecond microseconds nanoseconds").split(" ")) {
            UNITS.put(unit, DURATION_UNIT);
        }
        for (int c = 0; c < 256; c++) PATH_BYTE[c] = ident(c) || c >= 0x80 || "/.-~%@+*$&=?#!:\\{}".indexOf(c) >= 0;
        for (char c : "\"'<>)]},;|".toCharArray()) URL_END[c] = true;
    }

    private byte[] text;
    private int limit;
    private Out out;

    void begin(byte[] text, int limit, Out out) {
        this.text = text;
        this.limit = limit;
        this.out = out;
    }

    static int unit(byte[] text, int start, int end) {
        if (end - start > 12) return 0;
        return UNITS.getOrDefault(new String(text, start, end - start, StandardCharsets.ISO_8859_1), 0);
    }

    /** Writes the token with its values masked. */
    void mask(int start, int end) {
        if (plain(start, end)) {
            out.put(text, start, end);
            return;
        }
        int wholeLimit = limit;
        limit = end;
        boolean fresh = true;
        int pos = start;
        while (pos < end) {
            int c = text[pos] & 0xff;
            int behind = fresh ? value(start, pos) : -1;
            if (behind >= 0) {
                pos = behind;
                fresh = false;
            } else if (ident(c) || c >= 0x80) {
                pos = word(pos);
                fresh = false;
            } else {
                out.put(c);
                pos++;
                fresh = true;
            }
        }
        limit = wholeLimit;
    }

    private boolean plain(int start, int end) {
        if (end > start && ",.:;!?)".indexOf(text[end - 1]) >= 0) end--;
        for (int i = start; i < end; i++) {
            int c = text[i] & 0xff;
            if (!Scan.alpha(c) && c != '_') return false;
        }
        return true;
    }

    private int peek(int pos) {
        return at(text, limit, pos);
    }

    /** Writes a mask, unless it would only lengthen a list of the same. */
    private void mask(byte[] mask) {
        int last = out.last();
        if (last == ' ' || last == ',') {
            int end = out.length;
            while (end > 0 && out.bytes[end - 1] == ' ') end--;
            if (end > 0 && out.bytes[end - 1] == ',' && out.endsWith(mask, end - 1)) {
                out.length = end - 1;
                return;
            }
        }
        out.put(mask);
    }

    private int value(int start, int pos) {
        int c = text[pos] & 0xff;
        if (c == '<') return placeholder(pos);
        if (c == '/') return unixPath(start, pos);
        if (c == '\'' || c == '"') return quoted(start, pos, c);
        if (c == '-' || c == '+') {
            boolean afterWord = pos > start && ident(peek(pos - 1));
            return afterWord || !digit(peek(pos + 1)) ? -1 : number(pos);
        }
        if (Scan.alpha(c)) {
            int end = schemeOrDrive(pos);
            return end >= 0 ? end : ipv6(pos);
        }
        if (digit(c)) {
            int end = ipv4(pos);
            if (end < 0) end = ipv6(pos);
            if (end < 0) end = clock(pos);
            return end >= 0 ? end : number(pos);
        }
        return c == ':' && peek(pos + 1) == ':' ? ipv6(pos) : -1;
    }

    private int placeholder(int pos) {
        boolean known = Scan.startsWith(text, limit, pos, SECRET) || Scan.startsWith(text, limit, pos, EMAIL)
                || Scan.startsWith(text, limit, pos, CARD);
        int close = known ? Scan.indexOf(text, limit, pos, '>') : -1;
        if (close < 0) return -1;
        out.put(text, pos, close + 1);
        return close + 1;
    }

    private int unixPath(int start, int pos) {
        if (pos > start && ident(peek(pos - 1))) return -1;
        if (ipv4End(pos + 1) >= 0) {
            out.put('/');
            return ipv4(pos + 1);
        }
        int first = peek(pos + 1);
        if (!ident(first) && (first == 0 || ".~%*{$".indexOf(first) < 0)) return -1;
        int end = pathEnd(pos + 1, limit);
        mask(PATH);
        return end;
    }

    private int pathEnd(int start, int limit) {
        int end = start;
        while (end < limit && PATH_BYTE[text[end] & 0xff]) end++;
        while (end > start && ".:!?".indexOf(text[end - 1]) >= 0) end--;
        return end;
    }

    private int quoted(int start, int pos, int quote) {
        if (pos > start && ident(peek(pos - 1))) return -1;
        int close = Scan.indexOf(text, Math.min(limit, pos + 1 + MAX_QUOTED), pos + 1, quote);
        if (close <= pos + 1 || ident(peek(close + 1)) || peek(close + 1) == ':') return -1;
        out.put(quote);
        out.put(STR);
        out.put(quote);
        return close + 1;
    }

    private int schemeOrDrive(int pos) {
        if (peek(pos + 1) == ':' && peek(pos + 2) == '\\') {
            mask(PATH);
            return pathEnd(pos + 2, limit);
        }
        int end = pos;
        int highest = Math.min(limit, pos + MAX_SCHEME);
        while (end < highest && (Scan.alnum(text[end] & 0xff) || text[end] == '+' || text[end] == ':')) end++;
        if (peek(end) != '/' || peek(end - 1) != ':') return -1;
        if (peek(end + 1) != '/' && !Scan.startsWith(text, end, end - FILE.length, FILE)) return -1;
        while (end < limit && (text[end] < 0 || !URL_END[text[end]])) end++;
        mask(URL);
        return end;
    }

    private int clock(int pos) {
        int end = Scan.digitsEnd(text, limit, pos);
        if (end - pos > 2) return -1;
        int parts = 1;
        while (peek(end) == ':' && parts < 4) {
            int partEnd = Scan.digitsEnd(text, limit, end + 1);
            if (partEnd - end != 3) return -1;
            end = partEnd;
            parts++;
        }
        if (parts < 2) return -1;
        if ((peek(end) == '.' || peek(end) == ',') && digit(peek(end + 1))) end = Scan.digitsEnd(text, limit, end + 1);
        if (ident(peek(end)) || (peek(end) == ':' && digit(peek(end + 1)))) return -1;
        mask(DURATION);
        return end;
    }

    /** The end of the number at {@code pos}: a sign, digits, and marks between digits. */
    int numberEnd(int pos) {
        int sign = peek(pos);
        int end = pos + (sign == '-' || sign == '+' ? 1 : 0);
        if (!digit(peek(end))) return pos;
        while (true) {
            end = Scan.digitsEnd(text, limit, end);
            int mark = peek(end), next = peek(end + 1);
            if ((mark == 'e' || mark == 'E') && (next == '-' || next == '+') && digit(peek(end + 2))) {
                end += 2;
            } else if ((mark == '.' || mark == ',') && digit(next)) {
                end++;
            } else {
                return end;
            }
        }
    }

    private int number(int pos) {
        if (peek(pos) == '0' && (peek(pos + 1) | 32) == 'x') {
            int hexEnd = Scan.hexEnd(text, limit, pos + 2);
            if (hexEnd > pos + 2 && !ident(peek(hexEnd))) {
                mask(HEX);
                return hexEnd;
            }
        }
        int end = numberEnd(pos);
        int next = peek(end);
        if (next == '%') {
            mask(NUM);
            return end + 1;
        }
        boolean joined = (next == '-' || next == '.') && ident(peek(end + 1));
        if (!ident(next) && !joined && next < 0x80) {
            mask(NUM);
            return end;
        }
        int unitEnd = Scan.alphaEnd(text, limit, end);
        int unit = unit(text, end, unitEnd);
        if (unit == 0 || ident(peek(unitEnd))) return -1;
        mask(unit == SIZE_UNIT ? SIZE : DURATION);
        return unitEnd;
    }

    private int ipv4End(int pos) {
        int end = pos;
        for (int part = 0; part < 4; part++) {
            if (part > 0) {
                if (peek(end) != '.') return -1;
                end++;
            }
            int digitsEnd = Scan.digitsEnd(text, limit, end);
            int count = digitsEnd - end;
            if (count < 1 || count > 3) return -1;
            end = digitsEnd;
        }
        int next = peek(end);
        boolean more = next == '.' && Scan.alnum(peek(end + 1));
        return more || ident(next) || next == '-' ? -1 : end;
    }

    private int ipv4(int pos) {
        int end = ipv4End(pos);
        if (end < 0) return -1;
        mask(IP);
        int mark = peek(end);
        if (mark != ':' && mark != '/') return end;
        int portEnd = Scan.digitsEnd(text, limit, end + 1);
        int length = portEnd - end - 1;
        return length >= 1 && length <= 5 && !ident(peek(portEnd)) ? portEnd : end;
    }

    private int ipv6(int pos) {
        int highest = Math.min(limit, pos + 48);
        int end = Scan.hexEnd(text, highest, pos);
        if (peek(end) != ':') return -1;
        int colons = 0, group = 0, longest = 0;
        boolean shortened = false, digits = false;
        for (end = pos; end < highest; end++) {
            int c = text[end] & 0xff;
            if (c == ':') {
                colons++;
                shortened |= end > pos && text[end - 1] == ':';
                group = 0;
            } else if (Scan.hex(c)) {
                digits |= digit(c);
                longest = Math.max(longest, ++group);
            } else {
                break;
            }
        }
        if (!(colons >= 5 || (shortened && colons >= 2)) || ident(peek(end)) || longest > 5 || !digits) return -1;
        mask(IP);
        return end;
    }

    /** A word: letters, digits, {@code _}, and {@code -} or {@code .} between them. */
    private int word(int start) {
        int end = start, digits = 0, dots = 0, dashes = 0;
        while (true) {
            int c = peek(end);
            if (digit(c)) {
                digits++;
            } else if (c == '.' || c == '-') {
                boolean signed = c == '-' && end > start && text[end - 1] == '_';
                if (!signed && !(ident(peek(end + 1)) && end > start)) break;
                if (c == '.') dots++;
                else dashes++;
            } else if (!(ident(c) || c >= 0x80)) {
                break;
            }
            end++;
        }
        if (dots > 0 || dashes > 0) {
            int port = portOfHost(end);
            if (port >= 0 || isHost(start, end, dots)) {
                mask(HOST);
                return port >= 0 ? port : end;
            }
        }
        if (peek(end) == '/' && relativePath(start)) {
            mask(PATH);
            return pathEnd(start, limit);
        }
        if (digits == 0) out.put(text, start, end);
        else withDigits(start, end, digits, dots);
        return end;
    }

    private int portOfHost(int pos) {
        if (peek(pos) != ':') return -1;
        int end = Scan.digitsEnd(text, limit, pos + 1);
        int length = end - pos - 1;
        return length >= 2 && length <= 5 && !ident(peek(end)) ? end : -1;
    }

    private boolean isHost(int start, int end, int dots) {
        if (dots == 0) return false;
        int dot = end;
        while (text[dot - 1] != '.') dot--;
        if (end - dot > 11) return false;
        String last = new String(text, dot, end - dot, StandardCharsets.ISO_8859_1);
        if (GENERIC.contains(last)) return true;
        return COUNTRY.contains(last) && (dots >= 2 || Scan.indexOf(text, end, start, '-') >= 0);
    }

    private boolean relativePath(int start) {
        int end = pathEnd(start, Math.min(limit, start + MAX_RELATIVE));
        int slashes = 0, dot = -1, name = start;
        for (int i = start; i < end; i++) {
            int c = text[i] & 0xff;
            if (c == '/') {
                slashes++;
                name = i + 1;
                dot = -1;
            } else if (c == '.') {
                if (dot < 0) dot = i;
            } else if (!ident(c) && c != '-') {
                return false;
            }
        }
        return slashes >= 2 || dot > name;
    }

    private void withDigits(int start, int end, int digits, int dots) {
        int letters = 0, runs = 0;
        boolean hexadecimal = true, inside = false;
        for (int i = start; i < end; i++) {
            int c = text[i] & 0xff;
            if (Scan.alpha(c)) letters++;
            hexadecimal &= Scan.hex(c);
            boolean digit = digit(c);
            if (digit && !inside) runs++;
            inside = digit;
        }
        int first = text[start];
        if (hexadecimal && end - start >= 8) {
            mask(HEX);
        } else if (isUuid(start, end)) {
            mask(UUID);
        } else if (letters <= 1 && (digit(first & 0xff) || first == 'v' || first == 'V')) {
            mask(NUM);
        } else if ((digits >= MIN_ID_DIGITS || runs >= 2) && (dots == 0 || digits >= letters)) {
            mask(ID);
        } else {
            name(start, end);
        }
    }

    private boolean isUuid(int start, int end) {
        if (end - start != 36) return false;
        for (int i = 0; i < 36; i++) {
            boolean dash = i == 8 || i == 13 || i == 18 || i == 23;
            int c = text[start + i] & 0xff;
            if (dash ? c != '-' : !Scan.hex(c)) return false;
        }
        return true;
    }

    private void name(int start, int end) {
        for (int pos = start; pos < end; ) {
            int c = text[pos] & 0xff;
            if (digit(c)) {
                pos = Scan.digitsEnd(text, end, pos);
                out.put(NUM);
            } else {
                out.put(c);
                pos++;
            }
        }
    }
}
