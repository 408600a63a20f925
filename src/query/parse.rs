//! Reading a predicate: a parser by recursive descent over the bytes of the text.

use super::predicate::{Expression, Operator, Path, Root};
use crate::error::{Error, ErrorKind};
use crate::limits::PREDICATE_BYTES_MAX;
use serde_json::Value;

/// How deep parentheses and `not` may stand in one another.
const DEPTH_MAX: usize = 64;

/// Reads a whole text.
pub(super) fn expression(text: &str) -> Result<Expression, Error> {
    if PREDICATE_BYTES_MAX < text.len() {
        let fault = format!("predicate has {} bytes: it must have at most {PREDICATE_BYTES_MAX}", text.len());
        return Err(Error::new(ErrorKind::TooLarge, fault));
    }
    let mut parser = Parser { text, at: 0, depth: 0 };
    let expression = parser.any()?;
    match parser.rest() {
        "" => Ok(expression),
        _ => Err(parser.fault("`and`, `or` or the end was expected")),
    }
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
    depth: usize,
}

impl<'a> Parser<'a> {
    fn any(&mut self) -> Result<Expression, Error> {
        let mut any = vec![self.all()?];
        while self.takes_word("or") {
            any.push(self.all()?);
        }
        Ok(if any.len() == 1 { any.swap_remove(0) } else { Expression::Or(any) })
    }

    fn all(&mut self) -> Result<Expression, Error> {
        let mut all = vec![self.one()?];
        while self.takes_word("and") {
            all.push(self.one()?);
        }
        Ok(if all.len() == 1 { all.swap_remove(0) } else { Expression::And(all) })
    }

    fn one(&mut self) -> Result<Expression, Error> {
        if self.takes_word("not") {
            return Ok(Expression::Not(Box::new(self.deeper(Parser::one)?)));
        }
        if self.takes("(") {
            let inner = self.deeper(Parser::any)?;
            return if self.takes(")") { Ok(inner) } else { Err(self.fault("`)` was expected")) };
        }
        if self.takes_word("exists") {
            return Ok(Expression::Exists(self.path()?));
        }
        let path = self.path()?;
        let operator = self.operator()?;
        Ok(Expression::Compare(path, operator, self.literal()?))
    }

    fn deeper(&mut self, read: fn(&mut Parser<'a>) -> Result<Expression, Error>) -> Result<Expression, Error> {
        self.depth += 1;
        if DEPTH_MAX < self.depth {
            return Err(self.fault(&format!("parentheses and `not` stand more than {DEPTH_MAX} deep")));
        }
        let expression = read(self)?;
        self.depth -= 1;
        Ok(expression)
    }

    fn path(&mut self) -> Result<Path, Error> {
        let root = if self.takes_word("data") {
            Root::Data
        } else if self.takes_word("metadata") {
            Root::Metadata
        } else {
            return Err(self.fault("a path was expected, which begins with `data` or `metadata`"));
        };
        let mut steps = Vec::new();
        while self.text[self.at..].starts_with('.') {
            self.at += 1;
            let rest = &self.text[self.at..];
            if rest.starts_with('"') {
                steps.push(self.string()?);
                continue;
            }
            let len = rest.find(|c| !is_of_word(c)).unwrap_or(rest.len());
            if len == 0 {
                return Err(self.fault("a key was expected behind `.`"));
            }
            steps.push(rest[..len].to_owned());
            self.at += len;
        }
        Ok(Path { root, steps })
    }

    fn operator(&mut self) -> Result<Operator, Error> {
        const OPERATORS: [(&str, Operator); 6] = [
            ("!=", Operator::NotEqual),
            ("<=", Operator::LessOrEqual),
            (">=", Operator::GreaterOrEqual),
            ("=", Operator::Equal),
            ("<", Operator::Less),
            (">", Operator::Greater),
        ];
        let found = OPERATORS.into_iter().find(|(text, _)| self.takes(text));
        found
            .map(|(_, operator)| operator)
            .ok_or_else(|| self.fault("one of `=`, `!=`, `<`, `<=`, `>`, `>=` was expected"))
    }

    fn literal(&mut self) -> Result<Value, Error> {
        let rest = self.rest();
        if rest.starts_with('"') {
            return self.string().map(Value::String);
        }
        let len = rest.find(|c| !is_of_number(c)).unwrap_or(rest.len());
        match serde_json::from_str(&rest[..len]) {
            Ok(literal) => {
                self.at += len;
                Ok(literal)
            }
            Err(_) => Err(self.fault("a string in quotes, a number, `true`, `false` or `null` was expected")),
        }
    }

    /// A JSON string, as long as it reaches.
    fn string(&mut self) -> Result<String, Error> {
        let mut strings = serde_json::Deserializer::from_str(&self.text[self.at..]).into_iter::<String>();
        match strings.next() {
            Some(Ok(string)) => {
                self.at += strings.byte_offset();
                Ok(string)
            }
            _ => Err(self.fault("a string was expected, as JSON writes it")),
        }
    }

    fn takes(&mut self, text: &str) -> bool {
        let is_next = self.rest().starts_with(text);
        self.at += if is_next { text.len() } else { 0 };
        is_next
    }

    fn takes_word(&mut self, word: &str) -> bool {
        let behind = self.rest().strip_prefix(word);
        behind.is_some_and(|behind| !behind.starts_with(is_of_word)) && self.takes(word)
    }

    /// What is left, without the spaces before it.
    fn rest(&mut self) -> &'a str {
        self.skip_spaces();
        &self.text[self.at..]
    }

    fn skip_spaces(&mut self) {
        let rest = &self.text[self.at..];
        self.at += rest.len() - rest.trim_start().len();
    }

    fn fault(&self, what: &str) -> Error {
        let place = match self.text[self.at..].trim() {
            "" => "at its end".to_owned(),
            _ => format!("at character {}", self.text[..self.at].chars().count() + 1),
        };
        let shown = self.text.escape_debug();
        Error::new(ErrorKind::InvalidArgument, format!("predicate `{shown}`: {place}, {what}"))
    }
}

fn is_of_word(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '-')
}

/// What numbers are written with, and the words of JSON.
fn is_of_number(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_read_is_refused_with_the_place() {
        for (text, place) in [
            ("", "at its end, a path"),
            ("data.a", "at its end, one of"),
            ("data.a =", "at its end, a string in quotes"),
            ("data.a = 1 data.b = 2", "at character 12, `and`, `or` or the end"),
            ("payload.a = 1", "at character 1, a path"),
            ("data. = 1", "at character 6, a key"),
            ("data.a == 1", "at character 9, a string"),
            ("data.a = [1]", "at character 10, a string"),
            ("data.a = \"b", "at character 10, a string was expected, as JSON"),
            ("data.a = 1and data.b = 2", "at character 10, a string"),
            ("data.a = owls", "at character 10, a string"),
            ("(data.a = 1", "at its end, `)`"),
            ("data.a = 1 and", "at its end, a path"),
            ("dataset.a = 1", "at character 1, a path"),
        ] {
            let error = expression(text).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidArgument);
            assert!(error.to_string().contains(place), "{error}");
        }
    }

    #[test]
    fn neither_length_nor_depth_can_be_without_bounds() {
        let deep = format!("{}data.a = 1{}", "(".repeat(DEPTH_MAX), ")".repeat(DEPTH_MAX));
        assert!(expression(&deep).is_ok());
        assert!(expression(&format!("({deep})")).unwrap_err().to_string().contains("64 deep"));
        assert!(expression(&format!("not {deep}")).is_err());
        let long = format!("data.a = \"{}\"", "x".repeat(PREDICATE_BYTES_MAX));
        assert_eq!(expression(&long).unwrap_err().kind(), ErrorKind::TooLarge);
    }

    #[test]
    fn spaces_matter_only_between_words() {
        assert_eq!(
            expression("data.a=1 and(data.b=2)").unwrap(),
            expression("  data.a = 1\nand  data.b = 2 ").unwrap()
        );
        assert!(expression("data.a = 1 anddata.b = 2").is_err());
        assert!(expression("notdata.a = 1").is_err());
    }
}
