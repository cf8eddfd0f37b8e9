//! Ranks the frames in which a defect may lie, from the trace alone.

use hephaestus_schemas::{Exception, Frame};

use crate::exception::{Kind, Rules, is_test};

/// Frames that are named at most.
pub const MAX_CULPRITS: usize = 16;

/// Frames in which the defect may lie, the likeliest first: those of the application from the
/// innermost of the root cause outwards, then those of the exceptions it caused, then libraries
/// where the application has none, and tests last. A module's function is named once.
pub fn rank(exception: &Exception, rules: &Rules) -> Vec<Frame> {
    let mut links: Vec<&Exception> =
        std::iter::successors(Some(exception), |link| link.cause.as_deref()).collect();
    links.reverse();
    let mut application: Vec<Frame> = Vec::new();
    let mut library: Vec<Frame> = Vec::new();
    let mut tests: Vec<Frame> = Vec::new();
    for frame in links.iter().flat_map(|link| &link.frames) {
        let kind = rules.kind(frame);
        let list = match kind {
            Kind::Application if is_test(frame) => &mut tests,
            Kind::Application => &mut application,
            Kind::Library => &mut library,
            Kind::Runtime => continue,
        };
        let known = list.iter().any(|other| same_place(other, frame));
        if list.len() < MAX_CULPRITS && !known {
            list.push(frame.clone());
        }
    }
    if application.is_empty() {
        application.append(&mut library);
    }
    application.append(&mut tests);
    application.truncate(MAX_CULPRITS);
    application
}

fn same_place(a: &Frame, b: &Frame) -> bool {
    a.module == b.module && a.file == b.file && a.function == b.function
}
