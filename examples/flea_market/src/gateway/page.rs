//! The page, made here on the server without a script. Whatever a user has written is escaped where
//! it is put in, and nowhere else.

use std::fmt::{self, Display, Write};

use axum::Router;
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderValue, StatusCode};
use libkrb::http::Caller;

use crate::api::{Ad, Mine, Offers, Seen, Seller};
use crate::chassis::calls::HOW_TO_DELEGATE;
use crate::chassis::problem::Problem;
use crate::chassis::trace;

/// Nothing but our own style is ever loaded, nothing is run, and nobody frames the page.
const CONTENT_POLICY: &str =
    "default-src 'none'; style-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'";
const HEAD: &str = "<!doctype html><html lang=en><meta charset=utf-8>\
    <meta name=viewport content=\"width=device-width,initial-scale=1\">\
    <title>Flea market</title><link rel=stylesheet href=/market.css>\
    <header><h1>Flea market</h1>";
const FORM: &str = "<form method=post action=/sell>\
    <input name=title placeholder=\"What is it?\" maxlength=80 required>\
    <input name=price type=number min=0 max=1000000 placeholder=\"Euros\" required>\
    <button>Sell</button></form>";

/// The stylesheet, which anyone may have.
pub fn style() -> Router {
    Router::new().route("/market.css", get(async || ([(CONTENT_TYPE, "text/css")], include_str!("market.css"))))
}

/// What is for sale, to a user.
pub fn show(caller: &Caller, offers: &Offers, mine: Option<&Mine>) -> Response {
    html(StatusCode::OK, Page { caller: &caller.to_string(), offers, mine }.to_string())
}

/// That something did not go.
pub fn sorry(problem: &Problem) -> Response {
    let Problem { title, detail, .. } = problem;
    let text = format!(
        "{HEAD}</header><main><h2>That did not go: {}</h2><p>{}<p><a href=/>Back</a></main><footer>trace {}</footer>",
        Text(title),
        Text(detail),
        trace::current().trace_id()
    );
    html(problem.status(), text)
}

fn html(status: StatusCode, text: String) -> Response {
    let mut response = (status, Html(text)).into_response();
    let headers = response.headers_mut();
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(CONTENT_POLICY));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

struct Page<'a> {
    caller: &'a str,
    offers: &'a Offers,
    mine: Option<&'a Mine>,
}

impl Display for Page<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{HEAD}<p>You are <b>{}</b></header><main>", Text(self.caller))?;
        match self.mine {
            Some(mine) => own(f, mine)?,
            None => write!(f, "<aside>To sell something, {}.</aside>", Text(HOW_TO_DELEGATE))?,
        }
        f.write_str("<h2>For sale</h2><ul>")?;
        for ad in &self.offers.ads {
            let seller = self.offers.sellers.iter().find(|seller| seller.principal == ad.owner);
            f.write_str("<li>")?;
            one(f, ad, seller)?;
        }
        f.write_str("</ul></main><footer><p>The way of this request, and whom each service saw:<ol>")?;
        for Seen { service, caller, may_act_for_caller } in self.offers.seen.iter().rev() {
            let more = if *may_act_for_caller { ", and may act for them" } else { "" };
            write!(f, "<li>{} saw {}{more}", Text(service), Text(caller))?;
        }
        write!(f, "</ol>trace {}</footer>", trace::current().trace_id())
    }
}

fn own(f: &mut fmt::Formatter<'_>, mine: &Mine) -> fmt::Result {
    let profile = &mine.profile;
    let (name, town) = (Text(&profile.seller.name), Text(&profile.seller.town));
    write!(f, "<h2>Yours</h2><p>{name} in {town}, telephone {}{FORM}<ul>", Text(&profile.telephone))?;
    for ad in &mine.ads {
        let id = Text(ad.id.as_str());
        write!(f, "<li><form method=post action=/take-back><input type=hidden name=id value=\"{id}\">")?;
        one(f, ad, None)?;
        f.write_str(" <button>Take back</button></form>")?;
    }
    f.write_str("</ul>")
}

fn one(f: &mut fmt::Formatter<'_>, ad: &Ad, seller: Option<&Seller>) -> fmt::Result {
    write!(f, "<b>{}</b> <span>{} €</span>", Text(&ad.title), ad.price)?;
    seller.map_or(Ok(()), |seller| write!(f, " <small>{}, {}</small>", Text(&seller.name), Text(&seller.town)))
}

/// Somebody's text within our markup, between tags or in an attribute with quotes.
struct Text<'a>(&'a str);

impl Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|c| match c {
            '&' => f.write_str("&amp;"),
            '<' => f.write_str("&lt;"),
            '>' => f.write_str("&gt;"),
            '"' => f.write_str("&quot;"),
            '\'' => f.write_str("&#39;"),
            c => f.write_char(c),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::{AdId, Profile};

    const NASTY: &str = "\"><script>alert('x')</script>&";

    #[test]
    fn nothing_that_a_user_writes_becomes_markup() {
        let ad = Ad { id: AdId::new(1, 2), owner: NASTY.to_owned(), title: NASTY.to_owned(), price: 3 };
        let seller = Seller { principal: NASTY.to_owned(), name: NASTY.to_owned(), town: NASTY.to_owned() };
        let seen = vec![Seen { service: NASTY.to_owned(), caller: NASTY.to_owned(), may_act_for_caller: true }];
        let profile = Profile { seller: seller.clone(), telephone: NASTY.to_owned() };
        let offers = Offers { ads: vec![ad.clone()], sellers: vec![seller], seen: seen.clone() };
        let mine = Mine { ads: vec![ad], profile, seen };
        let page = Page { caller: NASTY, offers: &offers, mine: Some(&mine) }.to_string();
        assert!(!page.contains("<script") && !page.contains("'x'"), "{page}");
        let escaped = "&quot;&gt;&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;&amp;";
        assert_eq!(page.matches(escaped).count(), 10, "{page}");
    }
}
