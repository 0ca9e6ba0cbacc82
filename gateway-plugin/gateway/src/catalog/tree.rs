//! Where a view's columns come from, read from its rule as the server stores it (`pg_rewrite.ev_action`).
//!
//! The text is PostgreSQL's `nodeToString` of a list of one query: braces around nodes, parentheses around lists, labels that
//! begin with a colon, a backslash before what would else mean something. Only the query's own target list is read, and which
//! functions are called anywhere. What this must never do: say that a column comes from one place where the tree does not say so.

/// What the tree says of one column.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Origin {
    /// The view's attribute.
    pub(super) attribute: i16,
    /// The relation and the attribute that it is, unchanged; 0 where it is computed.
    pub(super) from: (u32, i16),
}

/// What a tree says.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Tree {
    /// Where its columns come from.
    pub(super) origins: Vec<Origin>,
    /// The functions that it calls, in whichever place.
    pub(super) calls: Vec<u32>,
}

/// Where the top of a query stands: the list around it, and it.
const TOP: usize = 2;
/// Where the entries of its target list stand.
const ENTRY: usize = TOP + 2;

/// A view's query; `None` where the text is of another form.
pub(super) fn read(tree: &str) -> Option<Tree> {
    let (mut depth, mut listed, mut ended, mut found) = (0_usize, false, false, Tree::default());
    let (mut entry, mut junk) = (Origin::default(), false);
    let mut tokens = Tokens(tree);
    while let Some(token) = tokens.next() {
        match token {
            "{" | "(" => {
                depth += 1;
                if listed && depth == ENTRY {
                    (entry, junk) = (Origin::default(), false);
                }
            }
            "}" | ")" => {
                if listed && depth == ENTRY && !junk {
                    found.origins.push(entry);
                }
                depth = depth.checked_sub(1)?;
                if listed && depth == TOP {
                    (listed, ended) = (false, true);
                }
            }
            ":targetList" if depth == TOP && !ended => listed = true,
            ":funcid" | ":aggfnoid" | ":winfnoid" | ":opfuncid" => found.calls.push(tokens.next()?.parse().ok()?),
            ":resno" if listed && depth == ENTRY => entry.attribute = tokens.next()?.parse().ok()?,
            ":resorigtbl" if listed && depth == ENTRY => entry.from.0 = tokens.next()?.parse().ok()?,
            ":resorigcol" if listed && depth == ENTRY => entry.from.1 = tokens.next()?.parse().ok()?,
            ":resjunk" if listed && depth == ENTRY => junk = tokens.next()? == "true",
            _ => {}
        }
    }
    (ended && depth == 0).then_some(found)
}

/// The tokens of a tree: brackets, and what stands between blanks and brackets.
struct Tokens<'a>(&'a str);

impl<'a> Iterator for Tokens<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        let is_bracket = |letter: char| matches!(letter, '(' | ')' | '{' | '}');
        self.0 = self.0.trim_start();
        let first = self.0.chars().next()?;
        let mut end = first.len_utf8();
        if !is_bracket(first) {
            let (mut escaped, mut length) = (false, 0);
            for letter in self.0.chars() {
                if !escaped && (letter.is_whitespace() || is_bracket(letter)) {
                    break;
                }
                escaped = !escaped && letter == '\\';
                length += letter.len_utf8();
            }
            end = length;
        }
        let (token, rest) = self.0.split_at_checked(end)?;
        self.0 = rest;
        Some(token)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TREE: &str = r"({QUERY :commandType 1 :rtable ({RANGETBLENTRY :alias <> :eref {ALIAS :aliasname a\ \{b :colnames (x y)}
        :subquery {QUERY :targetList ({TARGETENTRY :expr {VAR :varno 1} :resno 9 :resorigtbl 99 :resorigcol 9 :resjunk false})}})
        :targetList ({TARGETENTRY :expr {VAR :varno 1 :location 7} :resno 1 :resname id :ressortgroupref 0 :resorigtbl 16385
        :resorigcol 2 :resjunk false} {TARGETENTRY :expr {CONST :constvalue 4 [ 1 0 0 0 ]} :resno 2 :resname \)a\:resorigtbl
        :resorigtbl 0 :resorigcol 0 :resjunk false} {TARGETENTRY :expr {VAR} :resno 3 :resname <> :resorigtbl 5
        :resorigcol 5 :resjunk true}) :override 0 :jointree {FROMEXPR :quals {OPEXPR :opfuncid 65
        :args ({FUNCEXPR :funcid 2923 :args <>})}} :returningList <>})";

    #[test]
    fn the_target_list_of_the_top_alone_is_read() {
        let tree = read(TREE).unwrap();
        let of = |attribute, from| Origin { attribute, from };
        assert_eq!(tree.origins, [of(1, (16385, 2)), of(2, (0, 0))]);
        assert_eq!(tree.calls, [65, 2923]);
    }

    #[test]
    fn what_is_no_tree_says_nothing() {
        for text in ["", "<>", "({QUERY :commandType 1})", "({QUERY :targetList ({TARGETENTRY :resno x})})", ")", "({"]
        {
            assert_eq!(read(text), None, "{text}");
        }
        for end in 0..TREE.len() {
            drop(TREE.get(..end).and_then(read));
        }
    }
}
