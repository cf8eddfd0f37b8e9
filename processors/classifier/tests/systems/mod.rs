//! Statements of made-up programs, in the manner of many kinds of systems, and the values in them.
//! `{name}` stands for a value of a type.
#![allow(dead_code, clippy::unwrap_used, clippy::panic)]

/// What a kind of system writes.
pub(crate) struct System {
    pub(crate) name: &'static str,
    pub(crate) header: &'static str,
    /// One statement a line.
    pub(crate) statements: &'static str,
}

/// A source of values that is the same in every run.
pub(crate) struct Values(u64);

impl Values {
    pub(crate) fn new(name: &str) -> Self {
        Self(name.bytes().fold(7, |state, byte| state.wrapping_mul(31) + u64::from(byte)))
    }

    pub(crate) fn below(&mut self, bound: usize) -> usize {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % bound
    }

    fn pick(&mut self, words: &[&str]) -> String {
        words[self.below(words.len())].to_owned()
    }

    fn digits(&mut self, count: usize) -> String {
        (0..count).map(|_| char::from(b'0' + self.below(10) as u8)).collect()
    }

    fn hex(&mut self, count: usize) -> String {
        (0..count).map(|_| char::from(b"0123456789abcdef"[self.below(16)])).collect()
    }

    fn number(&mut self, digits: usize) -> String {
        let digits = 1 + self.below(digits);
        format!("{}{}", 1 + self.below(9), self.digits(digits - 1))
    }

    fn word(&mut self) -> String {
        let length = 3 + self.below(8);
        (0..length).map(|_| char::from(b'a' + self.below(26) as u8)).collect()
    }

    /// A statement with values in it.
    pub(crate) fn fill(&mut self, statement: &str) -> String {
        let mut line = String::new();
        let mut rest = statement;
        while let Some(open) = rest.find('{') {
            let close = rest[open..].find('}').unwrap() + open;
            line.push_str(&rest[..open]);
            line.push_str(&self.value(&rest[open + 1..close]));
            rest = &rest[close + 1..];
        }
        line + rest
    }

    fn value(&mut self, kind: &str) -> String {
        match kind {
            "(" => "{".to_owned(),
            ")" => "}".to_owned(),
            "n" => self.number(3),
            "N" => self.number(9),
            "neg" => format!("-{}", self.number(2)),
            "f" => format!("{}.{}", self.number(3), self.number(4)),
            "d2" => self.digits(2),
            "d3" => self.digits(3),
            "d6" => self.digits(6),
            "h7" => self.hex(7),
            "h8" => self.hex(8),
            "h40" => self.hex(40),
            "0x" => {
                let length = 1 + self.below(8);
                format!("0x{}", self.hex(length))
            }
            "hexes" => (0..1 + self.below(5)).map(|_| self.hex(8)).collect::<Vec<_>>().join(" "),
            "list" => (0..1 + self.below(5)).map(|_| self.number(4)).collect::<Vec<_>>().join(", "),
            "uuid" => format!(
                "{}-{}-{}-{}-{}",
                self.hex(8),
                self.hex(4),
                self.hex(4),
                self.hex(4),
                self.hex(12)
            ),
            "ip" => (0..4).map(|_| self.below(256).to_string()).collect::<Vec<_>>().join("."),
            "ipp" => format!("{}:{}", self.value("ip"), 1024 + self.below(60_000)),
            "ip6" => {
                format!("fe80::{}:{}:{}:{}", self.hex(4), self.hex(4), self.hex(4), self.hex(4))
            }
            "mac" => (0..6).map(|_| self.hex(2)).collect::<Vec<_>>().join(":"),
            "word" => self.word(),
            "user" => self.pick(&[
                "root",
                "alice",
                "bob",
                "carol",
                "dave",
                "erin",
                "frank",
                "svc-backup",
                "www-data",
                "oper1",
            ]),
            "bool" => self.pick(&["true", "false"]),
            "null" => self.pick(&["null", "Source{12 net}", "Source{3 audio}"]),
            "size" => format!(
                "{}.{} {}",
                self.number(3),
                self.below(10),
                self.pick(&["B", "KB", "MB", "GB"])
            ),
            "ms" => format!("{} ms", self.number(4)),
            "host" => format!(
                "{}{}.{}",
                self.word(),
                self.number(2),
                self.pick(&["example.com", "corp.example.net", "lab.example.org"])
            ),
            "bare" => {
                format!("{}{}", self.pick(&["node", "dn", "cn", "gpu", "login"]), self.number(4))
            }
            "rack" => format!(
                "R{}-M{}-N{}-C:J{}-U{}",
                self.digits(2),
                self.below(2),
                self.below(16),
                self.digits(2),
                self.digits(2)
            ),
            "card" => format!("R{}-M{}-N{}", self.digits(2), self.below(2), self.below(16)),
            "path" => {
                let depth = 2 + self.below(4);
                (0..depth).map(|_| format!("/{}", self.word())).collect::<String>()
                    + &self.pick(&["", ".log", ".so.1", ".cfg"])
            }
            "win" => format!("C:\\Windows\\{}\\{}.dll", self.word(), self.word()),
            "url" => {
                format!("https://{}/{}?id={}", self.value("host"), self.word(), self.number(5))
            }
            "email" => format!("{}@{}", self.word(), self.pick(&["example.com", "example.org"])),
            "class" => format!(
                "com.{}.{}.{}{}",
                self.pick(&["acme", "shop", "maps"]),
                self.word(),
                self.pick(&["Main", "Detail", "List", "Player"]),
                self.pick(&["Activity", "Service"])
            ),
            "method" => self.pick(&["GET", "POST"]),
            "package" => format!(
                "Package_{}for_KB{}~{}~amd64~~6.1.{}.{}",
                if self.below(3) == 0 { format!("{}_", self.number(2)) } else { String::new() },
                self.digits(7),
                self.hex(16),
                self.number(2),
                self.number(2)
            ),
            "session" => format!("{}_{}", self.digits(8), self.digits(9)),
            "block" => format!("blk_{}{}", self.pick(&["", "-"]), self.digits(19)),
            "rdd" => format!(
                "{}_{}_{}",
                self.pick(&["rdd", "rdd", "rdd"]),
                self.below(90),
                self.below(40)
            ),
            "piece" => format!("broadcast_{}_piece{}", self.below(200), self.below(3)),
            "attempt" => format!(
                "attempt_{}_{}_{}_{}_{}",
                self.digits(12),
                self.digits(4),
                self.pick(&["m", "r"]),
                self.digits(6),
                self.below(3)
            ),
            "range" => {
                let low = self.below(30);
                if self.below(2) == 0 {
                    format!("{low}")
                } else {
                    format!("[{low}-{}]", low + 1 + self.below(30))
                }
            }
            "pair" => format!("{}/{}", self.number(3), self.number(3)),
            "pct" => format!("{}%", self.below(101)),
            "iso" => format!(
                "20{}-0{}-{}{}T{}{}:{}{}:{}{}Z",
                self.digits(2),
                1 + self.below(9),
                self.below(2),
                1 + self.below(8),
                self.below(2),
                self.below(10),
                self.below(6),
                self.below(10),
                self.below(6),
                self.below(10)
            ),
            "mon" => self.pick(&["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul"]),
            "day" => (1 + self.below(28)).to_string(),
            "day2" => format!("{:>2}", 1 + self.below(28)),
            "d0" => format!("{:02}", 1 + self.below(28)),
            "m0" => format!("{:02}", 1 + self.below(12)),
            "clock" => format!("{:02}:{:02}:{:02}", self.below(24), self.below(60), self.below(60)),
            "dots" => format!("{:02}.{:02}.{:02}", self.below(24), self.below(60), self.below(60)),
            "epoch" => format!("11{}", self.digits(8)),
            "epoch3" => format!("16{}.{}", self.digits(8), self.digits(3)),
            "place" => format!("{}{}", self.pick(&["node-", "gige", "Switch-0N"]), self.number(3)),
            "column" => self.pick(&[
                "unix.hw state_change.unavailable",
                "action start",
                "boot_cmd new",
                "link_errors warning",
            ]),
            "label" => self.pick(&["-", "-", "-", "-", "APPSTOP", "MEMTRAP", "LINKDOWN"]),
            "letter" => self.pick(&["D", "I", "W", "E", "V"]),
            "level" => self.pick(&["INFO", "WARN", "ERROR", "DEBUG"]),
            "plevel" => self.pick(&["INFO ", "WARN ", "ERROR", "DEBUG"]),
            "ras" => self.pick(&["INFO", "FATAL", "WARNING", "ERROR", "SEVERE", "FAILURE"]),
            "ascii" => self.pick(&["*", "+", "#"]),
            other => panic!("no value {other}"),
        }
    }
}

/// Every kind of system.
pub(crate) const SYSTEMS: &[System] = &[
    System {
        name: "supercomputer RAS",
        header: "{label} {epoch} 2005.{m0}.{d0} {rack} 2005-{m0}-{d0}-{dots}.{d6} {rack} RAS KERNEL {ras} ",
        statements: "data cache parity error fixed by hardware
            CE sym {n}, at {0x}, mask {0x}
            total of {n} memory error(s) found and corrected on rank {n}, symbol {n}, bit {n}
            {n} L3 EDRAM error(s) (dcr {0x}) seen and corrected
            generating dump.{N}
            wrote {n} dump files for program {path}
            iod: cannot read message prefix on control stream (Stream socket to {ipp}
            iod: LOGIN chdir({path}) failed: No such file or directory
            lr:{h8} cr:{h8} xer:{h8} ctr:{h8}
            r{d2}={0x} r{d2}={0x} r{d2}={0x} r{d2}={0x}
            iar {h8} dear {h8}
            bad message header: expecting type {n} instead of type {n} (header={hexes}) PSR0={h8}
            guaranteed instruction block touch......{n}
            shutting down card (loc({card}), serial({h40}), hw({mac}), ip({ip}), kind({n})) as part of Service Action {n}
            power signal lost: {card}. A service action may be needed.
            program stopped for reason {N}
            floating point exceptions: {hexes}",
    },
    System {
        name: "cluster nodes",
        header: "{label} {epoch} 2005.{m0}.{d0} {bare} {mon} {day} {clock} {bare}/{bare} ",
        statements: "kernel: ACPI: Processor [CPU{n}] (supports {n} throttling states)
            kernel: scsi{n} : adapter at {0x}, irq {n}
            crond[{N}]: ({user}) CMD ({path} {path})
            sshd[{N}]: Accepted publickey for {user} from {ip} port {n} ssh2
            sshd[{N}]: Connection closed by {ip}
            ntpd[{N}]: synchronized to {ip}, stratum {n}
            ib_sm.x[{N}]: [ib_sm.c:{n}]: no topology change
            dhcpd: DHCPDISCOVER from {mac} via eth{n}
            dhcpd: DHCPOFFER on {ip} to {mac} via eth{n}
            pbs_mom: Connection refused ({n}) in open_stream, cannot reach {ipp}
            sendmail[{N}]: jA{d6}k{d3}: from={user}, size={N}, class={n}, nrcpts={n}, msgid=<{n}.jA{d6}k{d3}@{host}>, relay={user}@localhost
            gmetad[{N}]: data source [Cluster_{user}] did not answer within {n} seconds",
    },
    System {
        name: "phone",
        header: "{m0}-{d0} {clock}.{d3}  {n}  {N} {letter} WindowKeeper: ",
        statements: "opening app token = AppToken{(}{h7} token=Token{(}{h7} Record{(}{h7} u0 {class} t{n}{)}{)}{)}, drawn= {bool}, moved =  {bool}, again = {bool}
            acquire lock={N}, flags={0x}, tag=\"{user} lock\", name={class}, source={null}, uid={N}, pid={n}
            release lock={N}, flg={0x}, tag=\"{user} lock\", name={class}, source={null}, uid={N}, pid={n}
            cannot find window {h7} among {n} windows
            remaining delay is {n} ms, stack: {class}
            set light brightness = {n} for user {n}
            process {class} (pid {N}) has died
            audio focus requested by uid/pid {pair} client=android.media.{word}@{h7}
            getTasks: caller {N} is using old API
            screen on: {bool}, by reason {n}
            call from {class} took {n}ms
            updating mVisible=false",
    },
    System {
        name: "desktop",
        header: "{mon} {day2} {clock} laptop-{n} kernel[0]: ",
        statements: "AirLink: {f}: LinkDriver::changePower: WAKE[{bool}]
            ThunderSwitch<{n}>({0x})::listener - packet for route = {0x} port = {n} unplug = {n}
            Setting Config: enable_2G:{n}, profile_2g:{n}, enable_5G:{n}, profile_5G:{n}
            en{n}: BSSID changed to {mac}
            en{n}: channel changed to {n}
            USBMSC Identifier (non-unique): {h40} {0x} {0x}, {n}
            Previous sleep cause: {n}
            task {user}[{N}] caught causing excessive wakeups. Observed rate: {n} per second; limit: {n} per second
            {class}[{N}]: exited due to signal {n}
            [Store] refusing to parse answer of {url} because of type text/html
            hfs: mounted {word} on device disk{n}s{n}
            sandbox: {user}({n}) deny({n}) file-read-data {path}
            WiFi: disconnected after {n} seconds",
    },
    System {
        name: "compute service",
        header: "api.log.1.2017-05-16_13:53:08 2017-{m0}-{d0} {clock}.{d3} {N} {level} cloud.compute.manager [req-{uuid} {h40} {h40} - - -] ",
        statements: "{ip} \"GET /v2/{h40}/servers/detail HTTP/1.1\" status: 200 len: {N} time: {f}
            {ip} \"POST /v2/{h40}/os-server-external-events HTTP/1.1\" status: 200 len: {N} time: {f}
            [instance: {uuid}] VM Started (Lifecycle Event)
            [instance: {uuid}] VM Paused (Lifecycle Event)
            [instance: {uuid}] Took {f} seconds to build the instance.
            [instance: {uuid}] Attempting claim: memory {n} MB, disk {n} GB, vcpus {n} CPU
            [instance: {uuid}] Total memory: {n} MB, used: {f} MB
            image {uuid} at ({path}): in use: on this node {n} local, {n} on other nodes
            image {uuid} at ({path}): checking
            Active base files: {path}
            Final view: name={host} phys_ram={n}MB used_ram={n}MB phys_disk={n}GB total_vcpus={n} stats=[]
            Instance count differs: database has {n}, hypervisor has {n}
            HTTP exception thrown: no such event",
    },
    System {
        name: "batch engine",
        header: "17/{m0}/{d0} {clock} {level} storage.BlockKeeper: ",
        statements: "Block broadcast_{n} stored as values in memory (estimated size {size}, free {size})
            Block {piece} stored as bytes in memory (estimated size {size}, free {size})
            Block {rdd} found locally
            Partition {rdd} not found, computing it
            Running task {n}.0 in stage {n}.0 (TID {N})
            Finished task {n}.0 in stage {n}.0 (TID {N}). {N} bytes result sent to driver
            Reading broadcast variable {n} took {ms}
            Getting {n} non-empty blocks out of {n} blocks
            Input split: hdfs://{ipp}/{word}/{word}.log:{N}+{N}
            Changing acls to: {word},{word}
            Times: total = {n}, boot = {neg}, init = {n}, finish = {n}
            Saved output of task '{attempt}' to hdfs://{ipp}{path}
            {attempt}: Committed
            Started server on port {N}.
            Created local directory at {path}",
    },
    System {
        name: "servicing",
        header: "2016-{m0}-{d0} {clock}, Info                  CBS    ",
        statements: "Loaded Stack v6.1.{n}.{n} with Core: {win}
            Session: {session} initialized by client Agent.
            Read out cached package applicability for package: {package}, ApplicableState: {n}, CurrentState:{n}
            SQM: Queued {n} file(s) for upload with pattern: {win}, flags: {0x}
            Failed to get next element [HRESULT = {0x} - E_INVALID]
            Warning: Unrecognized attribute.
            TI: --- Initializing Installer ---
            {d6}@2016/{m0}/{d0}:{clock}.{d3} Initialize (core.dll version {n}.{n}.0.6) called (stack @{0x} @{0x} @{0x})
            No startup processing required, ending in state {n}
            Scavenge: package store indicates there is no component to scavenge, skipping.
            NonStart: checking to ensure startup processing was not required, {pct} done.",
    },
    System {
        name: "event log",
        header: "{N} {place} {column} {epoch} 1 ",
        statements: "Component State Change: Component \"alt{n}\" is in the unavailable state (HWID={N})
            Targeting domains:node-{range} and nodes:node-{range} child of command {n}
            PSU status ( on off )
            Fan speeds ( {n} {n} {n} {n} )
            Link error on broadcast tree Interconnect-{d2}T00:{d2}:{n}:{n}
            ambient={n}
            ServerFileSystem domain storage{n} is full
            Temperature ({n}C) exceeds warning threshold
            boot (command {N})
            halt (command {N})
            network partitioned for {n} seconds",
    },
    System {
        name: "web service",
        header: "{iso}  {plevel} 1 --- [nio-8080-exec-{n}] c.e.shop.OrderService             : ",
        statements: "Order {N} of customer {uuid} placed in {n}ms
            Payment of order {N} failed: card declined
            Payment of order {N} failed: time-out after {n}s
            Sending mail to {email}
            Sending mail to {email} failed with code {n}
            Cache miss for key user:{user}:profile
            Cache hit rate {pct}
            Fetching {url}
            Fetched {N} bytes from {url} in {f}s
            Retrying in {n} seconds (attempt {pair})
            Connected to {host}:5432 as {user}
            feature flag checkout-v{n} is {bool}",
    },
    System {
        name: "kernel",
        header: "[{n}.{d6}] ",
        statements: "usb {n}-{n}: new high-speed USB device number {n} using xhci_hcd
            usb {n}-{n}: USB disconnect, device number {n}
            EXT4-fs (sda{n}): mounted filesystem with ordered data mode
            Out of memory: Killed process {N} ({word}) total-vm:{N}kB, anon-rss:{N}kB
            eth{n}: link up, {n} Mbps
            ata{n}.00: exception Emask {0x} SAct {0x} SErr {0x} action {0x}
            IPv6: ADDRCONF(NETDEV_UP): eth{n}: link is not ready
            mce: [Hardware Error]: CPU {n}: Machine Check: {n} Bank {n}: {h8}",
    },
];
