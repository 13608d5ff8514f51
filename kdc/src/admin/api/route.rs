//! The resources, a row each: a path and a method over an operation. What the path and the query
//! don't say of the operation, the body does, under the names that [`Operation`](crate::admin::Operation) has in JSON. Not
//! here: how a row is read ([`super::read`]) and described ([`super::document()`]).

use axum::http::Method;

/// The header by which a change is made once, however often it is asked for.
pub(super) const ONCE: &str = "Idempotency-Key";

/// A resource's method.
#[derive(Debug)]
pub struct Route {
    method: &'static str,
    /// The path, with what it says of the operation in braces.
    pub path: &'static str,
    /// The name of the operation in JSON.
    pub operation: &'static str,
    /// What the document calls it; the operation's name, but where several rows have one operation.
    pub id: &'static str,
    /// What it does.
    pub about: &'static str,
    /// What the query may say of the operation.
    pub query: &'static [Field],
    /// What goes without saying.
    pub fixed: &'static [&'static str],
    /// The name of the answer in JSON; `None` where there is nothing to say but that it is done.
    pub answer: Option<&'static str>,
    /// Whether something is made.
    creates: bool,
    /// Whether it takes `If-Match`.
    pub guarded: bool,
}

/// What a path or a query says of an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field {
    /// Its name in both.
    pub name: &'static str,
    /// What it is.
    pub kind: Kind,
    /// What it means.
    pub about: &'static str,
}

/// Kinds of fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A principal.
    Name,
    /// Any text.
    Text,
    /// A number.
    Number,
}

/// What stands in braces in the paths.
const PATH_FIELDS: &[Field] = &[
    Field { name: "principal", kind: Kind::Name, about: "The principal; without a realm, of this realm" },
    Field { name: "name", kind: Kind::Text, about: "The name of the policy, of the string attribute, or of the token" },
];

/// What names principals in bodies.
pub(super) const NAMES: &[&str] = &["principal", "to", "alias", "after"];

/// What has lists in bodies.
pub(super) const LISTS: &[&str] = &["indicators", "operations", "random", "kinds", "fresh"];

/// Characters of the longest name in a path or a query.
pub(super) const MAX_NAME: usize = 1024;

const PATTERN: Field = Field {
    name: "pattern",
    kind: Kind::Text,
    about: "Only names that match this shell pattern; of principals, without an @, those of this realm",
};

const NEXT: Field = Field { name: "next", kind: Kind::Text, about: "`next` of the page before" };

const PAGE: &[Field] = &[
    PATTERN,
    Field { name: "after", kind: Kind::Name, about: "Only names after this one: `next` of the page before" },
    Field {
        name: "limit",
        kind: Kind::Number,
        about: "Looks at no more than so many names, 500 at most; a pattern may leave fewer, or none, and `next` goes on",
    },
];

/// Every resource.
pub const ROUTES: &[Route] = &[
    Route::new("POST", "/v1/principals", "create", "Make a principal").creating(),
    Route::new("GET", "/v1/principals", "list", "A page of the names of principals").asking(PAGE).answering("names"),
    Route::new("GET", "/v1/principals/{principal}", "describe", "A principal, but for its keys").answering("principal"),
    Route::new("PUT", "/v1/principals/{principal}", "ensure", "Make a principal, if it is not there just so")
        .creating(),
    Route::new("PATCH", "/v1/principals/{principal}", "modify", "Change settings of a principal").guarded(),
    Route::new("DELETE", "/v1/principals/{principal}", "delete", "Remove a principal, or just an alias").guarded(),
    Route::new("POST", "/v1/principals/{principal}/rename", "rename", "Give a principal another name").guarded(),
    Route::new("POST", "/v1/principals/{principal}/aliases", "alias", "Give a principal one more name").guarded(),
    Route::new("POST", "/v1/principals/{principal}/keys", "change_keys", "Give a principal new keys").guarded(),
    Route::new("POST", "/v1/principals/{principal}/keys/purge", "purge_keys", "Remove old keys").guarded(),
    Route::new("POST", "/v1/principals/{principal}/keys/extract", "extract", "The keys, for a keytab")
        .guarded()
        .answering("keys"),
    Route::new(
        "POST",
        "/v1/principals/{principal}/keys/rotate",
        "rotate",
        "Announce the next keys; the old ones stay good for a while",
    )
    .guarded()
    .answering("rotated"),
    Route::new("GET", "/v1/principals/{principal}/strings", "strings", "The string attributes").answering("strings"),
    Route::new("PUT", "/v1/principals/{principal}/strings/{name}", "set_string", "Set a string attribute").guarded(),
    Route::new("DELETE", "/v1/principals/{principal}/strings/{name}", "set_string", "Remove a string attribute")
        .named("delete_string")
        .without(&["value"])
        .guarded(),
    Route::new("POST", "/v1/principals/{principal}/tokens", "add_token", "Enrol a one-time password token").guarded(),
    Route::new(
        "DELETE",
        "/v1/principals/{principal}/tokens/{name}",
        "delete_token",
        "Remove a one-time password token",
    )
    .guarded(),
    Route::new("POST", "/v1/policies", "create_policy", "Make a password policy").creating(),
    Route::new("GET", "/v1/policies", "list_policies", "The names of the password policies")
        .asking(&[PATTERN])
        .answering("policies"),
    Route::new("GET", "/v1/policies/{name}", "describe_policy", "A password policy").answering("policy"),
    Route::new("PATCH", "/v1/policies/{name}", "modify_policy", "Change rules of a password policy").guarded(),
    Route::new("DELETE", "/v1/policies/{name}", "delete_policy", "Remove a password policy that nobody is under")
        .guarded(),
    Route::new("GET", "/v1/dump", "dump", "A page of a copy of the store, all pages of one moment; at the socket only")
        .asking(&[NEXT])
        .answering("dump"),
    Route::new("GET", "/v1/kdcs", "kdcs", "The KDCs of the realm that live").answering("kdcs"),
    Route::new("GET", "/v1/status", "status", "What is known of the running KDC").answering("status"),
    Route::new("GET", "/v1/master-key", "master_key", "The versions of the master key, and how much each seals")
        .answering("master_key"),
    Route::new("POST", "/v1/master-key/rotate", "rotate_master_key", "A step of the master key's turn")
        .answering("resealed"),
    Route::new("POST", "/v1/reload", "reload", "Have the KDC read its settings again; at the socket only"),
    Route::new("POST", "/v1/restart", "restart", "Have a new KDC take over; at the socket only"),
    Route::new("GET", "/v1/privileges", "privileges", "What you may do where there is nobody to do it to")
        .answering("privileges"),
    Route::new("POST", "/v1/batch", "batch", "Several operations, done whole or not at all").answering("answers"),
];

impl Route {
    const fn new(method: &'static str, path: &'static str, operation: &'static str, about: &'static str) -> Route {
        let (query, fixed): (&[Field], &[&str]) = (&[], &[]);
        let (id, answer) = (operation, None);
        Route { method, path, operation, id, about, query, fixed, answer, creates: false, guarded: false }
    }

    const fn creating(self) -> Route {
        Route { creates: true, ..self }
    }

    const fn answering(self, answer: &'static str) -> Route {
        Route { answer: Some(answer), ..self }
    }

    const fn asking(self, query: &'static [Field]) -> Route {
        Route { query, ..self }
    }

    const fn guarded(self) -> Route {
        Route { guarded: true, ..self }
    }

    const fn named(self, id: &'static str) -> Route {
        Route { id, ..self }
    }

    /// These fields of the operation are not given.
    const fn without(self, fixed: &'static [&'static str]) -> Route {
        Route { fixed, ..self }
    }

    /// The method.
    pub fn method(&self) -> Method {
        Method::from_bytes(self.method.as_bytes()).unwrap_or_default()
    }

    /// Whether something is made.
    pub fn creates(&self) -> bool {
        self.creates
    }

    /// Whether it takes [`ONCE`]: it changes what is in the store.
    pub fn made_once(&self) -> bool {
        self.method != "GET" && !matches!(self.operation, "rotate_master_key" | "reload" | "restart")
    }

    /// Whether a body says the rest.
    pub fn has_body(&self) -> bool {
        matches!(self.method, "POST" | "PUT" | "PATCH")
    }

    /// What the path says.
    pub fn in_path(&self) -> impl Iterator<Item = Field> {
        let names = self.path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
        names.filter_map(|name| PATH_FIELDS.iter().find(|field| field.name == name).copied())
    }
}
