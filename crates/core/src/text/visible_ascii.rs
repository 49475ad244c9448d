//! Values that stand in a header, a URL or a claim: visible ASCII, and not endless.

/// Whether a value is visible ASCII of a sensible length.
///
/// # Errors
/// What is wrong with it, as the end of a sentence.
pub fn check_visible_ascii(text: &str) -> Result<(), String> {
    match text.bytes().all(|byte| (0x21..=0x7e).contains(&byte)) {
        false => Err("has a space, a control character or a character outside ASCII".to_owned()),
        true if text.len() > 2048 => Err("is longer than 2048 characters".to_owned()),
        true => Ok(()),
    }
}
