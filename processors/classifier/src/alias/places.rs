//! Places of a shape: shapes that are the same but for one word share a bucket, and when the bucket
//! shows that the word is a variable.
//! Promises: pure functions of a shape; what a bucket holds is bounded.

use foldhash::HashMap;

use super::Id;
use super::shape::{self, ANY, Class, class};

/// How many different words in one place, all else equal, are taken for values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Thresholds {
    /// Words in one place of a message of which at least two other words stay.
    pub values: usize,
    /// The same for the first word of a message, which mostly says what happened.
    pub first_values: usize,
    /// The same where one other word stays.
    pub lone_values: usize,
    /// The same where no other word stays.
    pub bare_values: usize,
    /// Sets of names in a message of which at least two words of prose stay.
    pub names: usize,
    /// Names with a value in them, such as `eth<num>`, where a word would count once.
    pub partial_values: usize,
}

impl Default for Thresholds {
    fn default() -> Self {
        Self {
            values: 5,
            first_values: 16,
            lone_values: 20,
            bare_values: 100,
            names: 8,
            partial_values: 2,
        }
    }
}

/// One of the thresholds.
type Knob = fn(&mut Thresholds) -> &mut usize;

impl Thresholds {
    /// Every threshold by its name, to try others.
    pub(crate) const KNOBS: [(&'static str, Knob); 6] = [
        ("values", |all| &mut all.values),
        ("first_values", |all| &mut all.first_values),
        ("lone_values", |all| &mut all.lone_values),
        ("bare_values", |all| &mut all.bare_values),
        ("names", |all| &mut all.names),
        ("partial_values", |all| &mut all.partial_values),
    ];

    /// Those that are not as they are by default, by name.
    pub fn changes(mut self) -> Vec<(&'static str, usize)> {
        let mut usual = Self::default();
        let values =
            Self::KNOBS.iter().map(|(name, knob)| (*name, *knob(&mut self), *knob(&mut usual)));
        values
            .filter(|(_, value, usual)| value != usual)
            .map(|(name, value, _)| (name, value))
            .collect()
    }
}

/// Words of a shape that may turn out to be variables; those behind them are only compared.
const MAX_PLACES: usize = 64;
/// Words that must be equal beside a word that counts less because of a mask.
const MIN_CONSTANT: usize = 2;
/// Letters that make a word one that says something.
const MIN_LETTERS: usize = 2;

/// What may turn out to be a variable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Opening {
    /// One word.
    Word(usize),
    /// The values of all keys.
    Values,
    /// All words that are names rather than prose, but the first.
    Names,
}

/// A place of a shape, or several that are looked at as one.
pub(super) struct Place {
    /// Hash of all else.
    pub(super) key: u64,
    /// What varies there.
    pub(super) opening: Opening,
    pub(super) class: Class,
    /// Words beside it that say something.
    others: usize,
    /// Whether the word stands in brackets or quotes, as values do.
    wrapped: bool,
    /// Whether the word is a path, such as a request's route: a service has many that are no values.
    path: bool,
}

/// The places of a shape, and how many of its words are no values.
pub(super) fn places(words: &[&str]) -> (Vec<Place>, usize) {
    let classes: Vec<(Class, usize)> = words.iter().map(|word| class(word)).collect();
    let says = |(class, letters): (Class, usize)| class != Class::Whole && letters >= MIN_LETTERS;
    let saying = classes.iter().filter(|class| says(**class)).count();
    let terms: Vec<u64> =
        words.iter().enumerate().map(|(index, word)| mix(hash(word), index)).collect();
    let whole = terms.iter().fold(words.len() as u64, |sum, term| sum.wrapping_add(*term));
    let constants = classes.iter().filter(|(class, _)| *class != Class::Whole).count();
    let mut places = Vec::new();
    for opening in [Opening::Values, Opening::Names] {
        if let Some(words) = opened(words, opening) {
            let others = words.iter().filter(|word| says(class(word))).count();
            let salt = MAX_PLACES + 1 + usize::from(opening == Opening::Names);
            let key = mix(hash(&words.join(" ")), salt);
            places.push(Place {
                key,
                opening,
                class: Class::Plain,
                others,
                wrapped: false,
                path: false,
            });
        }
    }
    let classed = words.iter().zip(&classes).zip(&terms);
    for (index, ((word, class), term)) in classed.enumerate().take(MAX_PLACES) {
        if class.0 == Class::Fixed {
            continue;
        }
        let key = mix(whole.wrapping_sub(*term), index);
        let others = saying - usize::from(says(*class));
        let path = word.starts_with('/');
        let wrapped = word.starts_with(['(', '[', '{', '"', '\'']);
        places.push(Place {
            key,
            opening: Opening::Word(index),
            class: class.0,
            others,
            wrapped,
            path,
        });
    }
    (places, constants)
}

/// The words of the shape in which a place may be anything; none where there is no such place.
pub(super) fn opened(words: &[&str], opening: Opening) -> Option<Vec<String>> {
    let any_at = |open: &dyn Fn(usize, &str) -> bool| -> Vec<String> {
        let word = |(at, word): (usize, &&str)| if open(at, word) { ANY } else { *word }.to_owned();
        words.iter().enumerate().map(word).collect()
    };
    match opening {
        Opening::Word(index) => Some(any_at(&|at, _| at == index)),
        Opening::Values => shape::without_values(words),
        Opening::Names => {
            let is_open = |at: usize, word: &str| at > 0 && shape::is_name(word);
            let names = words.iter().enumerate().filter(|(at, word)| is_open(*at, word)).count();
            (names >= 2).then(|| any_at(&is_open))
        }
    }
}

/// Shapes that differ in one place alone.
#[derive(Debug, Clone)]
enum Bucket {
    /// Most hold one.
    One(Id, Class),
    Many(Box<Many>),
}

#[derive(Debug, Clone, Default)]
struct Many {
    members: Vec<Id>,
    /// Members whose word is a value, or a name with a value in it.
    whole: usize,
    partial: usize,
    /// The shape with the place open, once the place is known to vary.
    general: Option<Id>,
}

/// What a bucket shows once a shape has joined it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shown {
    Nothing,
    /// The place varies: all members are one.
    Variable,
}

/// The buckets of every place.
#[derive(Debug, Clone, Default)]
pub(super) struct Buckets {
    by_key: HashMap<u64, Bucket>,
}

impl Buckets {
    /// Adds a shape at a place; says whether the place is known to vary.
    pub(super) fn add(&mut self, place: &Place, id: Id, thresholds: &Thresholds) -> Shown {
        let bucket = match self.by_key.get_mut(&place.key) {
            None => {
                self.by_key.insert(place.key, Bucket::One(id, place.class));
                return Shown::Nothing;
            }
            Some(bucket) => bucket,
        };
        if let Bucket::One(first, class) = *bucket {
            if first == id {
                return Shown::Nothing;
            }
            let mut many = Many::default();
            many.add(first, class);
            *bucket = Bucket::Many(Box::new(many));
        }
        let Bucket::Many(many) = bucket else { return Shown::Nothing };
        many.add(id, place.class);
        if many.general.is_some() || many.varies(place, thresholds) {
            Shown::Variable
        } else {
            Shown::Nothing
        }
    }

    /// The shapes that share a bucket.
    pub(super) fn members(&self, key: u64) -> &[Id] {
        match self.by_key.get(&key) {
            Some(Bucket::Many(many)) => &many.members,
            Some(Bucket::One(id, _)) => std::slice::from_ref(id),
            None => &[],
        }
    }

    /// The shape with the place open, where the place is known to vary.
    pub(super) fn general(&self, key: u64) -> Option<Id> {
        match self.by_key.get(&key) {
            Some(Bucket::Many(many)) => many.general,
            _ => None,
        }
    }

    /// Takes note of the shape with the place open.
    pub(super) fn set_general(&mut self, key: u64, general: Id) {
        if let Some(Bucket::Many(many)) = self.by_key.get_mut(&key) {
            many.general = Some(general);
        }
    }

    /// Forgets a shape at a place.
    pub(super) fn remove(&mut self, place: &Place, id: Id) {
        let Some(bucket) = self.by_key.get_mut(&place.key) else { return };
        let empty = match bucket {
            Bucket::One(member, _) => *member == id,
            Bucket::Many(many) => {
                many.remove(id, place.class);
                many.members.is_empty()
            }
        };
        if empty {
            self.by_key.remove(&place.key);
        }
    }

    /// Buckets that are held.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.by_key.len()
    }
}

impl Many {
    fn add(&mut self, id: Id, class: Class) {
        if self.members.contains(&id) {
            return;
        }
        self.members.push(id);
        self.whole += usize::from(class == Class::Whole);
        self.partial += usize::from(class == Class::Partial);
    }

    fn remove(&mut self, id: Id, class: Class) {
        if let Some(found) = self.members.iter().position(|member| *member == id) {
            self.members.swap_remove(found);
            self.whole -= usize::from(class == Class::Whole);
            self.partial -= usize::from(class == Class::Partial);
        }
        if self.general == Some(id) {
            self.general = None;
        }
    }

    fn varies(&self, place: &Place, thresholds: &Thresholds) -> bool {
        let needed = match place.others {
            0 => thresholds.bare_values,
            _ if place.wrapped => thresholds.values,
            1 if place.path => thresholds.bare_values,
            1 => thresholds.lone_values,
            _ if place.opening == Opening::Word(0) => thresholds.first_values,
            _ if place.opening == Opening::Names => thresholds.names,
            _ => thresholds.values,
        };
        if self.members.len() >= needed {
            return true;
        }
        place.others >= MIN_CONSTANT
            && ((self.whole > 0 && self.members.len() >= 2)
                || self.partial >= thresholds.partial_values)
    }
}

/// Hash of a word (FNV-1a, which is the same in every process).
fn hash(word: &str) -> u64 {
    word.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

/// Spreads a hash and a position over all bits (the finisher of SplitMix64).
fn mix(hash: u64, index: usize) -> u64 {
    let mut word = hash ^ (index as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ (word >> 31)
}
