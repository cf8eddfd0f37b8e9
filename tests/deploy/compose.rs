//! What docker-compose.yml says of its services as a whole.

use serde_json::Value;

use crate::support::{compose, own_services, services, strings, text};

/// Where every process of ours listens, inside its container.
const PORT: u64 = 8080;
/// The one service that ends.
const ONE_SHOT: &str = "topology";

#[test]
fn every_image_has_a_tag_that_does_not_move() {
    let Some(services) = services() else { return };
    for (name, service) in services {
        let image = service["image"].as_str().expect(name);
        let (_, tag) =
            image.rsplit_once(':').unwrap_or_else(|| panic!("{name}: no tag in {image}"));
        assert!(tag.starts_with(|first: char| first.is_ascii_digit()), "{name}: {image}");
        if !service["build"].is_null() {
            assert_eq!(tag, env!("CARGO_PKG_VERSION"), "{name}");
        }
    }
}

#[test]
fn the_servers_are_those_that_the_tests_run_against() {
    let Some(services) = services() else { return };
    let project = text("tests/kafka/pom.xml");
    for (service, property) in [("kafka", "kafka.version"), ("registry", "registry.version")] {
        let (_, rest) = project.split_once(&format!("<{property}>")).expect(property);
        let (version, _) = rest.split_once('<').expect(property);
        let image = services[service]["image"].as_str().expect(service);
        assert!(image.ends_with(&format!(":{version}")), "{image} is not {version}");
    }
}

#[test]
fn every_stage_is_a_service_that_scales() {
    let (Some(services), Ok(topology)) = (services(), topology()) else { return };
    for stage in topology.stages {
        let service = services.get(stage.name).unwrap_or_else(|| panic!("no {}", stage.name));
        assert_eq!(strings(&service["command"])[..2], ["run", stage.name]);
        assert!(service["container_name"].is_null(), "{}: a name is had by one", stage.name);
        assert!(service["ports"].is_null(), "{}: a port is had by one", stage.name);
    }
}

fn topology() -> Result<hephaestus_topology::Topology, hephaestus_topology::ProfileError> {
    hephaestus_topology::pipeline(&hephaestus_topology::Profile::development())
}

#[test]
fn services_are_bounded_and_come_back() {
    let Some(services) = services() else { return };
    for (name, service) in services {
        let limits = &service["deploy"]["resources"]["limits"];
        for bound in ["cpus", "memory", "pids"] {
            assert!(!limits[bound].is_null(), "{name} has no bound on {bound}");
        }
        assert!(!service["logging"]["options"]["max-size"].is_null(), "{name}: logs without bound");
        let restart = service["restart"].as_str().unwrap_or_default();
        if name == ONE_SHOT {
            assert_eq!(restart, "no");
        } else {
            assert_eq!(restart, "unless-stopped", "{name}");
            assert!(!service["healthcheck"]["test"].is_null(), "{name} has no health check");
        }
    }
}

#[test]
fn our_services_have_no_rights_they_do_not_need() {
    let Some(services) = own_services() else { return };
    for (name, service) in services {
        assert_eq!(service["read_only"], true, "{name}");
        assert_eq!(strings(&service["cap_drop"]), ["ALL"], "{name}");
        assert_eq!(strings(&service["security_opt"]), ["no-new-privileges:true"], "{name}");
        assert!(service["user"].is_null(), "{name}: the image says who runs it");
        for forbidden in ["privileged", "cap_add", "devices", "network_mode", "pid"] {
            assert!(service[forbidden].is_null(), "{name}: {forbidden}");
        }
    }
}

#[test]
fn nothing_starts_before_what_it_needs() {
    let Some(services) = services() else { return };
    let waits = |name: &str, other: &str| services[name]["depends_on"][other]["condition"].clone();
    assert_eq!(waits("registry", "kafka"), "service_healthy");
    assert_eq!(waits(ONE_SHOT, "kafka"), "service_healthy");
    assert_eq!(waits(ONE_SHOT, "registry"), "service_healthy");
    for (name, _) in own_services().unwrap_or_default() {
        if name != ONE_SHOT {
            assert_eq!(waits(name, ONE_SHOT), "service_completed_successfully", "{name}");
        }
    }
}

#[test]
fn only_the_door_is_open_and_only_to_this_machine() {
    let Some(services) = services() else { return };
    for (name, service) in services {
        let ports = service["ports"].as_array().map(Vec::as_slice).unwrap_or_default();
        assert_eq!(!ports.is_empty(), name == "gateway", "{name}: {ports:?}");
        for port in ports {
            assert_eq!(port["host_ip"], "127.0.0.1");
            assert_eq!(port["target"], PORT);
        }
    }
}

#[test]
fn one_port_is_meant_everywhere() {
    let Some(services) = own_services() else { return };
    assert!(text("Dockerfile").contains(&format!("EXPOSE {PORT}\n")));
    for (name, service) in services {
        if name == ONE_SHOT {
            continue;
        }
        let command = strings(&service["command"]);
        let (_, address) = command.split_at(command.len() - 2);
        assert_eq!(address, ["--listen", &format!("0.0.0.0:{PORT}")], "{name}");
        let check = strings(&service["healthcheck"]["test"]).join(" ");
        assert!(check.contains(&format!("/dev/tcp/127.0.0.1/{PORT} ")), "{name}: {check}");
    }
}

#[test]
fn what_must_outlive_a_container_is_in_a_volume_with_a_name() {
    let (Some(model), Some(services)) = (compose(), services()) else { return };
    let volume = |service: &str, target: &str| {
        let mounts = services[service]["volumes"].as_array().expect(service);
        let mount = mounts.iter().find(|mount| mount["target"] == target).expect(target);
        mount["source"].as_str().map(str::to_owned)
    };
    let log_dirs = services["kafka"]["environment"]["KAFKA_LOG_DIRS"].as_str().unwrap();
    let named = [volume("kafka", log_dirs), volume("change-requester", "/srv/repositories")];
    for name in named {
        let name = name.expect("a named volume");
        assert!(model["volumes"].get(&name).is_some(), "{name} is not declared");
    }
}

#[test]
fn the_addresses_of_servers_are_those_they_listen_on() {
    let (Some(services), Some(own)) = (services(), own_services()) else { return };
    let kafka = &services["kafka"];
    let advertised = kafka["environment"]["KAFKA_ADVERTISED_LISTENERS"].as_str().unwrap();
    let bootstrap = advertised.strip_prefix("PLAINTEXT://").unwrap();
    assert_eq!(kafka["hostname"], bootstrap.split(':').next().unwrap());
    assert_eq!(services["registry"]["environment"]["KAFKA_BOOTSTRAP_SERVERS"], bootstrap);
    for (name, service) in own {
        let variables: &Value = &service["environment"];
        assert_eq!(variables["HEPHAESTUS_BOOTSTRAP_SERVERS"], bootstrap, "{name}");
        let registry = variables["HEPHAESTUS_SCHEMA_REGISTRY"].as_str().unwrap();
        assert_eq!(registry, format!("http://registry:{PORT}/apis/ccompat/v7"), "{name}");
    }
}
