//! Whether a frame belongs to the application, to a test, to a library or to the runtime.
//! Rules are data: lists of prefixes and parts of paths.

use hephaestus_schemas::Frame;

/// Where a frame lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// The application's own code, its tests included.
    Application,
    /// A dependency.
    Library,
    /// The language's runtime, its standard library, or a runner of tests or builds.
    Runtime,
}

/// Classes of Java's own and of what runs programs and tests.
const JAVA_RUNTIME: [&str; 20] = [
    "android.",
    "com.android.",
    "dalvik.",
    "java.",
    "javax.",
    "jdk.",
    "sun.",
    "com.sun.",
    "jakarta.",
    "kotlin.",
    "kotlinx.",
    "scala.",
    "junit.",
    "org.junit.",
    "org.testng.",
    "org.hamcrest.",
    "org.apache.tools.ant.",
    "org.apache.maven.",
    "org.gradle.",
    "groovy.",
];

/// Classes of .NET itself, and of what runs programs and tests.
const DOTNET_RUNTIME: [&str; 9] = [
    "System.",
    "Microsoft.Extensions.",
    "Microsoft.CSharp.",
    "Microsoft.FSharp.",
    "Microsoft.VisualStudio.",
    "NUnit.",
    "Xunit.",
    "InvokeStub_",
    "Interop",
];

/// Classes of well-known .NET libraries and frameworks.
const DOTNET_LIBRARY: [&str; 10] = [
    "Microsoft.AspNetCore.",
    "Microsoft.EntityFrameworkCore.",
    "Microsoft.Data.",
    "Newtonsoft.",
    "Npgsql.",
    "MySql.",
    "Dapper.",
    "Serilog.",
    "Polly.",
    "Grpc.",
];

/// Classes of well-known Java libraries and frameworks.
const JAVA_LIBRARY: [&str; 73] = [
    "akka.",
    "co.elastic.clients.",
    "com.amazonaws.",
    "com.datastax.",
    "com.google.inject.",
    "com.google.protobuf.",
    "com.microsoft.sqlserver.",
    "com.mongodb.",
    "com.netflix.",
    "com.rabbitmq.",
    "feign.",
    "freemarker.",
    "io.dropwizard.",
    "io.github.resilience4j.",
    "io.ktor.",
    "io.lettuce.",
    "io.micrometer.",
    "io.micronaut.",
    "io.opentelemetry.",
    "io.quarkus.",
    "liquibase.",
    "oracle.jdbc.",
    "org.apache.camel.",
    "org.apache.cxf.",
    "org.apache.ibatis.",
    "org.apache.kafka.clients.",
    "org.apache.kafka.common.",
    "org.apache.pekko.",
    "org.elasticsearch.client.",
    "org.flywaydb.",
    "org.glassfish.",
    "org.h2.",
    "org.jooq.",
    "org.mariadb.",
    "org.mybatis.",
    "org.quartz.",
    "org.redisson.",
    "org.thymeleaf.",
    "org.wildfly.",
    "redis.clients.",
    "software.amazon.awssdk.",
    "androidx.",
    "com.google.android.",
    "com.google.common.",
    "org.apache.commons.",
    "org.apache.hc.",
    "org.apache.http.",
    "okhttp3.",
    "retrofit2.",
    "org.mockito.",
    "org.aspectj.",
    "net.sf.cglib.",
    "org.springframework.",
    "org.hibernate.",
    "org.eclipse.jetty.",
    "org.apache.catalina.",
    "org.apache.coyote.",
    "org.apache.tomcat.",
    "io.netty.",
    "io.undertow.",
    "reactor.",
    "io.reactivex.",
    "com.fasterxml.",
    "com.zaxxer.",
    "org.slf4j.",
    "ch.qos.logback.",
    "org.apache.logging.",
    "org.jboss.",
    "io.vertx.",
    "io.grpc.",
    "org.postgresql.",
    "com.mysql.",
    "net.bytebuddy.",
];

/// Parts of the names of classes that frameworks generate beside the application's.
const GENERATED: [&str; 7] = [
    "$$EnhancerBy",
    "$$FastClassBy",
    "$$SpringCGLIB$$",
    "$MockitoMock$",
    "$HibernateProxy$",
    "$ByteBuddy$",
    "$Proxy",
];

/// Parts of a path that only a library's file has.
const LIBRARY_PATHS: [&str; 10] = [
    "/site-packages/",
    "/dist-packages/",
    "/node_modules/",
    "/pkg/mod/",
    "/.cargo/registry/",
    "/.cargo/git/",
    "/vendor/",
    "/gems/",
    "\\site-packages\\",
    "\\node_modules\\",
];

/// Parts of a path that only a runtime's file has.
const RUNTIME_PATHS: [&str; 14] = [
    "/lib/python",
    "/lib/ruby/",
    "<internal:",
    "\\lib\\python",
    "<frozen",
    "<string>",
    "node:",
    "/usr/local/go/",
    "/libexec/src/",
    "/go/src/runtime/",
    "/rustc/",
    "/rust/library/",
    "/rustlib/src/",
    "internal/modules/",
];

/// Packages of Go's standard library that appear in dumps, and Rust's own crates.
const RUNTIME_FUNCTIONS: [&str; 24] = [
    "runtime.",
    "runtime/",
    "testing.",
    "net/http.",
    "sync.",
    "reflect.",
    "syscall.",
    "internal/",
    "panic(",
    "std::",
    "core::",
    "alloc::",
    "<core::",
    "<alloc::",
    "<std::",
    "rust_begin_unwind",
    "__rust",
    "_main",
    "__libc",
    "_start",
    "created by ",
    "bufio.",
    "encoding/",
    "database/sql.",
];

/// The rules in force: those above, and prefixes from the configuration, which win.
#[derive(Debug, Clone, Default)]
pub struct Rules {
    in_app: Vec<String>,
    not_in_app: Vec<String>,
}

impl Rules {
    /// Rules with further prefixes of modules, functions or files, inside and outside the application.
    pub fn new(in_app: &[String], not_in_app: &[String]) -> Self {
        Self { in_app: in_app.to_vec(), not_in_app: not_in_app.to_vec() }
    }

    /// Where a frame lies.
    pub fn kind(&self, frame: &Frame) -> Kind {
        let module = frame.module.as_deref().unwrap_or("");
        let function = frame.function.as_deref().unwrap_or("");
        let file = frame.file.as_deref().unwrap_or("");
        let names = [module, function, file];
        if has_prefix(&names, &self.in_app) {
            return Kind::Application;
        }
        if has_prefix(&names, &self.not_in_app) {
            return Kind::Library;
        }
        if LIBRARY_PATHS.iter().any(|part| file.contains(part)) {
            return Kind::Library;
        }
        if RUNTIME_PATHS.iter().any(|part| file.contains(part))
            || matches!(file, "<anonymous>" | "native" | "<stdin>")
        {
            return Kind::Runtime;
        }
        if file.is_empty() && function.is_empty() {
            return Kind::Runtime;
        }
        let is_java = file.ends_with(".java")
            || file.ends_with(".kt")
            || file.ends_with(".scala")
            || file.is_empty()
            || matches!(file, "Native Method" | "Unknown Source" | "<generated>");
        let is_dotnet = file.is_empty()
            || [".cs", ".fs", ".vb", ".razor", ".cshtml"].iter().any(|end| file.ends_with(end));
        let is_of = |prefixes: &[&str]| prefixes.iter().any(|prefix| module.starts_with(prefix));
        if is_dotnet && is_of(&DOTNET_RUNTIME) {
            return Kind::Runtime;
        }
        if is_dotnet && is_of(&DOTNET_LIBRARY) {
            return Kind::Library;
        }
        if is_java && !module.is_empty() {
            if is_of(&JAVA_RUNTIME) {
                return Kind::Runtime;
            }
            let generated =
                module.contains('$') && GENERATED.iter().any(|part| module.contains(part));
            if is_of(&JAVA_LIBRARY) || generated {
                return Kind::Library;
            }
            return Kind::Application;
        }
        if function == "panic"
            || RUNTIME_FUNCTIONS.iter().any(|prefix| function.starts_with(prefix))
        {
            return Kind::Runtime;
        }
        Kind::Application
    }

    /// Whether the configuration says where a frame lies.
    pub(super) fn is_configured(&self, frame: &Frame) -> bool {
        let names = [&frame.module, &frame.function, &frame.file];
        let names = names.map(|name| name.as_deref().unwrap_or(""));
        has_prefix(&names, &self.in_app) || has_prefix(&names, &self.not_in_app)
    }
}

fn has_prefix(names: &[&str], prefixes: &[String]) -> bool {
    prefixes.iter().any(|prefix| names.iter().any(|name| name.starts_with(prefix.as_str())))
}

/// The well-known library, as a prefix of its classes, that a class belongs to.
pub(super) fn library(frame: &Frame) -> Option<&'static str> {
    let module = frame.module.as_deref()?;
    let known =
        |list: &[&'static str]| list.iter().find(|name| module.starts_with(**name)).copied();
    known(&JAVA_LIBRARY).or_else(|| known(&DOTNET_LIBRARY))
}
