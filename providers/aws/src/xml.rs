//! One text out of an answer in XML.

use aws_smithy_xml::decode::{Document, ScopedDecoder, XmlDecodeError, try_data};

/// The text at `path`, which begins with the name of the root. `None` where it is not there, or there twice, or the document
/// is not whole.
pub(crate) fn text(document: &[u8], path: &[&str]) -> Option<String> {
    let text = core::str::from_utf8(document).ok()?;
    let (root, below) = path.split_first()?;
    if !text.trim_end().ends_with(&format!("</{root}>")) {
        return None;
    }
    let mut document = Document::new(text);
    let mut decoder = document.root_element().ok()?;
    if !decoder.start_el().matches(root) {
        return None;
    }
    below_at(&mut decoder, below).ok().flatten()
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
