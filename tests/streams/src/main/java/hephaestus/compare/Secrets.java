package hephaestus.compare;

import static hephaestus.compare.Scan.at;
import static hephaestus.compare.Scan.digit;

/** Masks secrets and personal data: named fields, providers' tokens, addresses, card numbers. */
final class Secrets {
    private static final String[] NAMES = {"password", "passwd", "passphrase", "pwd", "_pass", "secret", "token", "apikey",
        "api_key", "api-key", "accesskey", "access_key", "authorization", "cookie"};
    private static final String[] TOKENS = {"akia", "asia", "ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_", "glpat-",
        "xoxb-", "xoxp-", "xoxa-", "xoxr-", "xoxs-", "xapp-", "sk_live_", "rk_live_", "sk_test_", "aiza", "ya29.", "npm_",
        "hf_", "sk-", "sg.", "eyj", "bearer "};
    private static final byte[] MASK = Scan.ascii("<secret:secret>"), EMAIL = Scan.ascii("<email>"), CARD = Scan.ascii("<card>");
    private static final byte[] AUTHORITY = Scan.ascii("://");
    private static final int MIN_DIGITS = 13, MAX_DIGITS = 19, MIN_TOKEN = 10;

    private final byte[][] needles = new byte[NAMES.length + TOKENS.length + 2][];
    /** For each of a needle's first three places and each byte, the needles that have it there, one bit each. */
    private final long[] firsts = new long[256], seconds = new long[256], thirds = new long[256];
    private final int[] digits = new int[MAX_DIGITS];
    private byte[] text;
    private int limit;
    private int spanStart, spanEnd;
    private byte[] placeholder;
    int masked;

    Secrets() {
        for (int i = 0; i < NAMES.length; i++) needles[i] = Scan.ascii(NAMES[i]);
        for (int i = 0; i < TOKENS.length; i++) needles[NAMES.length + i] = Scan.ascii(TOKENS[i]);
        needles[needles.length - 2] = AUTHORITY;
        needles[needles.length - 1] = Scan.ascii("@");
        long[][] places = {firsts, seconds, thirds};
        for (int n = 0; n < needles.length; n++) {
            for (int place = 0; place < places.length; place++) {
                for (int c = 0; c < 256; c++) {
                    boolean fits = place >= needles[n].length || needles[n][place] == (c >= 'A' && c <= 'Z' ? c | 32 : c);
                    if (fits) places[place][c] |= 1L << n;
                }
            }
        }
    }

    /** Whether the line holds nothing to mask; else {@code out} holds the masked line. */
    boolean clean(byte[] text, int start, int end, Out out) {
        this.text = text;
        this.limit = end;
        masked = 0;
        if (!mayHoldNeedle(start) && !holdsCard(start)) return true;
        out.clear();
        int done = start;
        for (int i = start; i < end; ) {
            if (!span(i, done)) {
                i++;
                continue;
            }
            out.put(text, done, spanStart);
            out.put(placeholder);
            done = i = spanEnd;
            masked++;
        }
        if (masked == 0) return true;
        out.put(text, done, end);
        return false;
    }

    private boolean mayHoldNeedle(int start) {
        byte[] text = this.text;
        int whole = limit - 2;
        long found = 0;
        for (int i = start; i < whole; i++) {
            found |= firsts[text[i] & 0xff] & seconds[text[i + 1] & 0xff] & thirds[text[i + 2] & 0xff];
        }
        for (int i = Math.max(start, whole); i < limit; i++) {
            found |= firsts[text[i] & 0xff] & seconds[at(text, limit, i + 1)] & thirds[0];
        }
        return found != 0;
    }

    /** Every thirteenth byte is looked at first: a number is longer. */
    private boolean holdsCard(int start) {
        for (int probe = start + MIN_DIGITS - 1; probe < limit; probe += MIN_DIGITS) {
            if (!cardByte(text[probe])) continue;
            int first = probe;
            while (first > start && cardByte(text[first - 1])) first--;
            int end = first;
            for (; end < limit && cardByte(text[end]); end++) {
                boolean opens = text[end] >= '2' && text[end] <= '6' && (end == start || !digit(text[end - 1] & 0xff));
                if (opens && card(end)) return true;
            }
            probe = end;
        }
        return false;
    }

    private static boolean cardByte(int c) {
        return (c >= '0' && c <= '9') || c == ' ' || c == '-';
    }

    private boolean span(int pos, int done) {
        int c = text[pos] & 0xff;
        if (digit(c)) return c >= '2' && c <= '6' && card(pos);
        long found = firsts[c] & seconds[at(text, limit, pos + 1)] & thirds[at(text, limit, pos + 2)];
        for (; found != 0; found &= found - 1) {
            int needle = Long.numberOfTrailingZeros(found);
            if (!Scan.startsWithIgnoreCase(text, limit, pos, needles[needle])) continue;
            int behind = pos + needles[needle].length;
            boolean hit = needle < NAMES.length ? named(behind)
                : needle < NAMES.length + TOKENS.length ? token(pos, behind)
                : needle == needles.length - 2 ? urlPassword(behind) : email(pos, done);
            if (hit) return true;
        }
        return false;
    }

    private boolean set(int start, int end, byte[] mask) {
        spanStart = start;
        spanEnd = end;
        placeholder = mask;
        return end > start;
    }

    /** {@code password=…}, {@code "token": "…"}. */
    private boolean named(int pos) {
        int mark = at(text, limit, pos);
        if (mark == '"' || mark == '\'') pos++;
        pos = Scan.skipSpaces(text, limit, pos);
        mark = at(text, limit, pos);
        if ((mark != '=' && mark != ':') || at(text, limit, pos + 1) == ':') return false;
        boolean assigned = mark == '=';
        int start = Scan.skipSpaces(text, limit, pos + 1);
        int quote = at(text, limit, start);
        if (quote == '"' || quote == '\'') {
            int end = Scan.indexOf(text, limit, start + 1, quote);
            return set(start + 1, end < 0 ? limit : end, MASK);
        }
        int end = start;
        boolean hasDigit = false;
        while (end < limit && " \t,;&)}]\"'|\\".indexOf(text[end]) < 0) hasDigit |= digit(text[end++] & 0xff);
        boolean prose = !assigned && (end - start < 6 || (!hasDigit && end - start < 20));
        return !prose && set(start, end, MASK);
    }

    private boolean token(int start, int pos) {
        if (start > 0 && Scan.ident(at(text, limit, start - 1))) return false;
        int end = pos;
        boolean hasDigit = false;
        while (end < limit && (Scan.ident(text[end] & 0xff) || text[end] == '-' || text[end] == '.')) hasDigit |= digit(text[end++] & 0xff);
        return hasDigit && end - pos >= MIN_TOKEN && set(start, end, MASK);
    }

    private boolean urlPassword(int start) {
        int colon = -1, sign = -1, pos = start;
        for (; pos < limit && " \t/\"'?#<>".indexOf(text[pos]) < 0; pos++) {
            if (text[pos] == ':' && colon < 0) colon = pos;
            if (text[pos] == '@') sign = pos;
        }
        return colon >= 0 && colon + 1 < sign && set(colon + 1, sign, MASK);
    }

    private boolean email(int sign, int done) {
        int start = sign;
        int lowest = Math.max(done, sign - 64);
        while (start > lowest && emailByte(text[start - 1] & 0xff)) start--;
        while (start < sign && !Scan.alnum(text[start] & 0xff)) start++;
        int end = sign + 1, dot = -1;
        for (; end < limit && (Scan.alnum(text[end] & 0xff) || text[end] == '.' || text[end] == '-'); end++) {
            if (text[end] == '.' && Scan.alpha(at(text, limit, end + 1)) && Scan.alpha(at(text, limit, end + 2))) dot = end;
        }
        return start < sign && dot > sign + 1 && set(start, end, EMAIL);
    }

    private static boolean emailByte(int c) {
        return Scan.alnum(c) || c == '.' || c == '_' || c == '%' || c == '+' || c == '-';
    }

    /** Digits in groups of at least four that pass Luhn's sum and begin as a network's numbers do. */
    private boolean card(int start) {
        int before = at(text, limit, start - 1);
        if (Scan.alnum(before) || before == '_' || before == '-' || before == '/' || before == '.' || before == '+') return false;
        int count = 0, group = 0, best = -1;
        for (int pos = start; pos < limit && count < MAX_DIGITS && cardByte(text[pos]); pos++) {
            if (digit(text[pos] & 0xff)) {
                digits[count++] = text[pos] - '0';
                group++;
                int next = at(text, limit, pos + 1);
                if (count >= MIN_DIGITS && !Scan.ident(next) && next != '.' && isCard(count)) best = pos + 1;
            } else {
                if (group < 4 || count >= MIN_DIGITS) break;
                group = 0;
            }
        }
        return best > 0 && set(start, best, CARD);
    }

    private boolean isCard(int count) {
        int prefix = digits[0] * 1000 + digits[1] * 100 + digits[2] * 10 + digits[3];
        boolean known = switch (count) {
            case 16 -> (prefix >= 4000 && prefix <= 4999) || (prefix >= 5100 && prefix <= 5599) || prefix == 6011
                || (prefix >= 6500 && prefix <= 6599) || (prefix >= 2221 && prefix <= 2720) || (prefix >= 3528 && prefix <= 3589);
            case 15 -> (prefix >= 3400 && prefix <= 3499) || (prefix >= 3700 && prefix <= 3799);
            case 14 -> (prefix >= 3000 && prefix <= 3059) || (prefix >= 3600 && prefix <= 3699) || (prefix >= 3800 && prefix <= 3899);
            case 13, 19 -> prefix >= 4000 && prefix <= 4999;
            default -> false;
        };
        if (!known) return false;
        int sum = 0;
        for (int i = 0; i < count; i++) {
            int value = digits[count - 1 - i] << (i % 2);
            sum += value > 9 ? value - 9 : value;
        }
        return sum % 10 == 0;
    }
}
