package hephaestus.compare;

import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.nio.ByteOrder;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.Arrays;

/** What depends on a template alone, remembered: hashes and categories are worked out once a template. */
final class Known {
    private static final VarHandle LONGS = MethodHandles.byteArrayViewVarHandle(long[].class, ByteOrder.LITTLE_ENDIAN);
    private static final String[][] WORDS = {
        {"resource", "out of memory", "heap space", "no space left", "too many open files"},
        {"network", "connection refused", "connection reset", "timed out", "unreachable", "broken pipe"},
        {"security", "authentication fail", "permission denied", "access denied", "invalid user"},
        {"configuration", "no such file", "not configured", "missing"},
        {"deployment", "starting", "started", "shutting down", "stopped"},
    };

    final byte[] template;
    final boolean failing;
    final byte[] patternId;
    final byte[] fingerprint;
    final byte[] category;
    final byte[] reason = Scan.ascii("no rule applies");

    private Known(byte[] template, boolean failing) {
        this.template = template;
        this.failing = failing;
        patternId = Scan.ascii(hex(template, 16));
        byte[] prefix = Scan.ascii(failing ? "line\0failing\0" : "line\0\0");
        byte[] whole = Arrays.copyOf(prefix, prefix.length + template.length);
        System.arraycopy(template, 0, whole, prefix.length, template.length);
        fingerprint = Scan.ascii(hex(whole, 24));
        category = Scan.ascii(category(new String(template, java.nio.charset.StandardCharsets.UTF_8), failing));
    }

    private static String category(String template, boolean failing) {
        String lower = template.toLowerCase(java.util.Locale.ROOT);
        for (String[] rule : WORDS) {
            for (int i = 1; i < rule.length; i++) {
                if (lower.contains(rule[i])) return rule[0];
            }
        }
        return failing ? "defect" : "activity";
    }

    private static String hex(byte[] bytes, int digits) {
        try {
            byte[] hash = MessageDigest.getInstance("SHA-256").digest(bytes);
            return java.util.HexFormat.of().formatHex(hash, 0, digits / 2);
        } catch (NoSuchAlgorithmException error) {
            throw new IllegalStateException(error);
        }
    }

    /** Templates that came lately, by open addressing; begins anew when full. */
    static final class Memory {
        private static final int SLOTS = 8192;
        private final Known[] slots = new Known[SLOTS];
        private int used;

        Known of(Out template, boolean failing) {
            int slot = hash(template.bytes, template.length, failing) & (SLOTS - 1);
            for (; slots[slot] != null; slot = (slot + 1) & (SLOTS - 1)) {
                Known known = slots[slot];
                boolean same = known.failing == failing
                    && Arrays.equals(known.template, 0, known.template.length, template.bytes, 0, template.length);
                if (same) return known;
            }
            if (used > SLOTS / 4) {
                Arrays.fill(slots, null);
                used = 0;
                slot = hash(template.bytes, template.length, failing) & (SLOTS - 1);
            }
            used++;
            return slots[slot] = new Known(template.copy(), failing);
        }

        private static int hash(byte[] bytes, int length, boolean failing) {
            long hash = length * 2L + (failing ? 1 : 0);
            int pos = 0;
            for (; pos + 8 <= length; pos += 8) {
                hash = (Long.rotateLeft(hash, 23) ^ (long) LONGS.get(bytes, pos)) * 0x9e37_79b9_7f4a_7c15L;
            }
            for (; pos < length; pos++) hash = (Long.rotateLeft(hash, 5) ^ bytes[pos]) * 0x9e37_79b9_7f4a_7c15L;
            return (int) (hash >>> 40);
        }
    }
}
