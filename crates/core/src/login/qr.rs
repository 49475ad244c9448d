//! The QR code of an address, in block characters.

use anstyle::{AnsiColor, Style};
use qrcode::render::unicode::Dense1x2;
use qrcode::{EcLevel, QrCode};

use crate::world::terminal::TextStyle;

/// The lines of a QR code, all of the same width; `None` where the text is too long.
pub(super) fn render(text: &str, paint: TextStyle) -> Option<Vec<String>> {
    let code = QrCode::with_error_correction_level(text, EcLevel::L).ok()?;
    let mut renderer = code.render::<Dense1x2>();
    // Without colours the terminal is assumed to be dark. A light one shows the QR code inverted, which phones read too.
    if !paint.0 {
        renderer.dark_color(Dense1x2::Light).light_color(Dense1x2::Dark);
    }
    let picture = renderer.quiet_zone(true).build();
    let style = match paint.0 {
        true => AnsiColor::Black.on(AnsiColor::BrightWhite),
        false => Style::new(),
    };
    Some(picture.lines().map(|line| format!("{style}{line}{style:#}")).collect())
}

/// The width of the lines in columns, without escape sequences.
pub(super) fn width(lines: &[String]) -> usize {
    let shown = |line: &String| line.chars().filter(|letter| is_block(*letter)).count();
    lines.iter().map(shown).max().unwrap_or_default()
}

fn is_block(letter: char) -> bool {
    matches!(letter, ' ' | '█' | '▀' | '▄')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_qr_code_is_a_square_with_a_border() {
        let plain = render("https://www.google.com/device", TextStyle(false)).expect("a code");
        let columns = width(&plain);
        assert!((20..60).contains(&columns), "{columns}");
        assert!(plain.iter().all(|line| line.chars().count() == columns));
        assert!(plain.len() * 2 == columns || plain.len() * 2 == columns + 1, "{}", plain.len());
        // On a dark terminal the quiet zone is light.
        assert!(plain[0].chars().all(|letter| letter == '█'), "{}", plain[0]);
        let painted = render("https://www.google.com/device", TextStyle(true)).expect("a code");
        assert_eq!((painted.len(), width(&painted)), (plain.len(), columns));
        assert!(painted[0].starts_with("\u{1b}[") && painted[0].ends_with("\u{1b}[0m"));
        assert_eq!(render(&"x".repeat(4000), TextStyle(false)), None);
    }
}
