//! The provider that needs no network: it goes through the playbook.
//!
//! The same event, files and playbook always give the same answer.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use hephaestus_schemas::{Edit, Exception, Recipe as RecipeFound};

use super::compile::Recipe;
use super::conditions::{Place, candidates};
use super::matching::{Bindings, Located, located};
use super::recognise::{chain, is_raised, last_segment, recognised};
use super::{Playbook, PlaybookError, change, words};
use crate::budget::MAX_SOURCES;
use crate::provider::{
    AnalysisRequest, Finding, ModelError, ModelProvider, ProposalRequest, SourceFile,
};
use crate::tree::SourceTree;

/// Confidence from which a cause counts as known.
pub(crate) const KNOWN_FROM: f64 = 0.5;

/// Explains and fixes what the recipes of a playbook recognise.
#[derive(Debug, Clone)]
pub struct PlaybookProvider {
    playbook: Arc<Playbook>,
}

impl PlaybookProvider {
    /// A provider of the recipes that come with the program.
    ///
    /// # Errors
    /// Where one of them is wrong, which a test rules out.
    pub fn new() -> Result<Self, PlaybookError> {
        Ok(Self::with(Playbook::builtin()?))
    }

    /// A provider of other recipes.
    pub fn with(playbook: Arc<Playbook>) -> Self {
        Self { playbook }
    }

    /// Explains a failure; see [`ModelProvider::analyze`].
    pub fn explained(&self, request: &AnalysisRequest) -> Finding {
        let chain = chain(request.event.exception.as_ref());
        let sources = sources(&request.sources);
        let best = self.best(&chain, &sources, |_| true);
        match best {
            Some(diagnosis) => diagnosis.finding,
            None => words::unknown(request),
        }
    }

    /// The edits for an analysis; see [`ModelProvider::propose`].
    pub fn edits(&self, request: &ProposalRequest) -> Vec<Edit> {
        let Some(found) = &request.analysis.recipe else {
            return Vec::new();
        };
        let mut files = request.files.clone();
        files.retain(|file| file.path == found.path);
        for file in &mut files {
            file.culprit_line = u32::try_from(found.line).ok();
        }
        let chain = chain(request.analysis.exception.as_ref());
        let sources = sources(&files);
        let best = self.best(&chain, &sources, |recipe| recipe.name == found.name);
        best.and_then(|diagnosis| diagnosis.edit).into_iter().collect()
    }

    /// What the recipe that fits best says: one with an edit before one without, then the surest.
    fn best(
        &self,
        chain: &[&Exception],
        sources: &[Source<'_>],
        wanted: impl Fn(&Recipe) -> bool,
    ) -> Option<Diagnosis> {
        let mut best: Option<Diagnosis> = None;
        for exception in chain {
            for recipe in self.playbook.recipes.iter().filter(|recipe| wanted(recipe)) {
                let Some(captured) = recognised(recipe, exception) else {
                    continue;
                };
                let diagnosis = diagnosed(recipe, exception, &captured, sources);
                if best.as_ref().is_none_or(|best| diagnosis.rank() > best.rank()) {
                    best = Some(diagnosis);
                }
            }
        }
        best
    }
}

#[async_trait]
impl ModelProvider for PlaybookProvider {
    #[allow(clippy::unnecessary_literal_bound)]
    fn name(&self) -> &str {
        "playbook"
    }

    async fn analyze(&self, request: &AnalysisRequest) -> Result<Finding, ModelError> {
        Ok(self.explained(request))
    }

    async fn propose(&self, request: &ProposalRequest) -> Result<Vec<Edit>, ModelError> {
        Ok(self.edits(request))
    }
}

/// A file with its syntax tree and its culprit line.
struct Source<'a> {
    file: &'a SourceFile,
    line: u32,
    tree: SourceTree<'a>,
}

/// The files that can be looked at: those in a known language with a culprit line.
fn sources(files: &[SourceFile]) -> Vec<Source<'_>> {
    let mut sources = Vec::new();
    for file in files.iter().take(MAX_SOURCES) {
        let Some(line) = file.culprit_line else {
            continue;
        };
        if let Some(tree) = SourceTree::new(&file.path, &file.text) {
            sources.push(Source { file, line, tree });
        }
    }
    sources
}

/// What a recipe says of a failure.
struct Diagnosis {
    finding: Finding,
    edit: Option<Edit>,
}

impl Diagnosis {
    /// Orders diagnoses: an edit counts first, then the place, then the confidence.
    fn rank(&self) -> (bool, bool, f64) {
        let is_placed = self.finding.recipe.is_some();
        (self.edit.is_some(), is_placed, self.finding.confidence)
    }
}

/// How well a recipe fits a file.
enum Fit<'t> {
    /// It looks at no syntax.
    Unchecked,
    /// Several places of the line can have raised the failure.
    Several(usize),
    /// One place did; with the edit and the number of its fix, where one fits.
    Once(Box<Bindings<'t>>, Result<(Edit, usize, Bindings<'t>), &'static str>),
}

fn diagnosed(
    recipe: &Recipe,
    exception: &Exception,
    captured: &BTreeMap<String, String>,
    sources: &[Source<'_>],
) -> Diagnosis {
    let mut values = captured.clone();
    values.insert("type".to_owned(), exception.type_name.clone());
    values.insert("message".to_owned(), exception.message.clone());
    for source in sources {
        let language = source.tree.language;
        let fits = recipe.languages.contains(&language)
            && is_raised(exception, &source.file.frame, recipe.raised, language);
        if !fits {
            continue;
        }
        if let Some(fit) = fit(recipe, exception, captured, source) {
            return placed(recipe, source, &values, fit);
        }
    }
    // No file is at hand, or the code is not what the recipe knows.
    let frame = exception.frames.iter().find(|frame| frame.in_app);
    words::add_frame(&mut values, frame.or(exception.frames.first()));
    let finding = words::finding(recipe, &values, recipe.confidence, "");
    Diagnosis { finding, edit: None }
}

/// How a recipe fits the culprit line of a file; `None` where nothing there can raise the failure.
fn fit<'t>(
    recipe: &Recipe,
    exception: &Exception,
    captured: &BTreeMap<String, String>,
    source: &'t Source<'_>,
) -> Option<Fit<'t>> {
    let Some(suspect) = &recipe.suspect else {
        return Some(Fit::Unchecked);
    };
    let tree = &source.tree;
    let known = Bindings { texts: captured.clone(), ..Bindings::default() };
    match located(tree, suspect, &known, source.line, source.file.frame.column) {
        Located::Nowhere => None,
        Located::Several(count) => Some(Fit::Several(count)),
        Located::Once(bindings) => {
            let edit = fixed(recipe, exception, tree, &bindings);
            Some(Fit::Once(bindings, edit))
        }
    }
}

/// The edit of the first fix that fits, or why there is none.
fn fixed<'t>(
    recipe: &Recipe,
    exception: &Exception,
    tree: &'t SourceTree<'_>,
    suspect: &Bindings<'t>,
) -> Result<(Edit, usize, Bindings<'t>), &'static str> {
    let unclear = "No change is proposed: the code around it leaves open what is right.";
    if recipe.fixes.is_empty() {
        return Err("");
    }
    let at = suspect.nodes.get("at").copied();
    let Some(place) = at.and_then(|at| Place::of(tree, at)) else {
        return Err(unclear);
    };
    if place.is_handled(tree, last_segment(&exception.type_name)) {
        return Err("No change is proposed: a handler around it expects this very failure.");
    }
    if place.statement.has_error() {
        return Err("No change is proposed: the statement does not parse.");
    }
    let mut suspect = suspect.clone();
    let statement = tree.text_of(place.statement).to_owned();
    suspect.nodes.insert("statement".to_owned(), place.statement);
    suspect.texts.insert("statement".to_owned(), statement);
    for (number, fix) in recipe.fixes.iter().enumerate() {
        let mut edits: Vec<(Edit, Bindings<'t>)> = Vec::new();
        for bindings in candidates(tree, fix, &suspect, &place) {
            let Some(edit) = change::edit_of(tree, fix, &bindings, &place) else {
                continue;
            };
            if !edits.iter().any(|(known, _)| *known == edit) {
                edits.push((edit, bindings));
            }
        }
        if edits.len() > 1 {
            return Err("No change is proposed: there is more than one way to make it.");
        }
        if let Some((edit, bindings)) = edits.pop() {
            return Ok((edit, number, bindings));
        }
    }
    Err(unclear)
}

/// The diagnosis of a recipe that fits a file.
fn placed(
    recipe: &Recipe,
    source: &Source<'_>,
    values: &BTreeMap<String, String>,
    fit: Fit<'_>,
) -> Diagnosis {
    let mut values = values.clone();
    words::add_frame(&mut values, Some(&source.file.frame));
    words::add_place(&mut values, &source.file.path, source.line);
    let mut confidence = recipe.confidence;
    let mut details = String::new();
    let mut parameters = BTreeMap::new();
    let mut made = None;
    match fit {
        Fit::Unchecked => {}
        Fit::Several(count) => {
            details = format!(
                "Line {} has {count} places that can raise it, and the log does not say which; no change is proposed.",
                source.line
            );
        }
        Fit::Once(bindings, edit) => {
            parameters.clone_from(&bindings.texts);
            values.extend(bindings.texts);
            if let Some(suspect) = &recipe.suspect {
                confidence = suspect.confidence;
                details = words::rendered(&suspect.explanation, &values);
            }
            match edit {
                Ok((edit, number, bindings)) => {
                    parameters.extend(bindings.texts.clone());
                    values.extend(bindings.texts);
                    if let Some(fix) = recipe.fixes.get(number) {
                        confidence = fix.confidence;
                        words::append(&mut details, &words::rendered(&fix.explanation, &values));
                    }
                    made = Some(edit);
                }
                Err(reason) => words::append(&mut details, reason),
            }
        }
    }
    let mut finding = words::finding(recipe, &values, confidence, &details);
    parameters.remove("statement");
    finding.recipe = Some(RecipeFound {
        name: recipe.name.clone(),
        path: source.file.path.clone(),
        line: i32::try_from(source.line).unwrap_or(i32::MAX),
        parameters: words::quoted_all(parameters),
    });
    Diagnosis { finding, edit: made }
}
