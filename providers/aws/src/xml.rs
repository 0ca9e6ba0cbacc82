//! One text out of an answer in XML.

use aws_smithy_xml::decode::{Document, ScopedDecoder, XmlDecodeError, try_data};

/// The text at `path`, which begins with the name of the root. `None` where it is not there, or there twice, or the document
/// is not whole.
pub(crate) fn text(document: &[u8], path: &[&str]) -> Option<String> {
    let text = core::str::from_utf8(document).ok()?;
    let (root, below) = path.split_first()?;
    if !is_whole(text) {
        return None;
    }
    let mut document = Document::new(text);
    let mut decoder = document.root_element().ok()?;
    if !decoder.start_el().matches(root) {
        return None;
    }
    below_at(&mut decoder, below).ok().flatten()
}

/// Whether every element that begins ends, in turn, and nothing stands around the root. The decoder does not look at that. What
/// AWS never writes (comments, declarations of types) is not whole either.
fn is_whole(text: &str) -> bool {
    let text = text.trim();
    let mut rest = match text.strip_prefix("<?xml") {
        Some(declared) => declared.split_once("?>").map_or("", |(_, rest)| rest.trim_start()),
        None => text,
    };
    let mut open: Vec<&str> = Vec::new();
    while let Some((before, tag)) = rest.split_once('<') {
        let Some((tag, behind)) = tag.split_once('>') else { return false };
        if open.is_empty() && !before.is_empty() || tag.starts_with(['!', '?']) {
            return false;
        }
        rest = behind;
        match tag.strip_prefix('/') {
            Some(name) if open.pop() == Some(name) => {}
            Some(_) => return false,
            None if tag.ends_with('/') => {}
            None => open.push(tag.split_ascii_whitespace().next().unwrap_or_default()),
        }
        if open.is_empty() {
            return rest.is_empty();
        }
    }
    false
}

fn below_at(decoder: &mut ScopedDecoder<'_, '_>, path: &[&str]) -> Result<Option<String>, XmlDecodeError> {
    let Some((name, below)) = path.split_first() else { return try_data(decoder).map(|text| Some(text.into_owned())) };
    let mut found = None;
    while let Some(mut tag) = decoder.next_tag() {
        if tag.start_el().matches(name) && found.replace(below_at(&mut tag, below)?).is_some() {
            return Err(XmlDecodeError::custom("there twice"));
        }
    }
    Ok(found.flatten())
}
