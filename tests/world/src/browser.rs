//! A browser without a screen: keeps cookies, follows redirects, and fills in the forms of an issuer's pages.
//!
//! It knows HTML no better than these pages need: one form to a page, double-quoted attributes, hidden inputs.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use reqwest::{Certificate, Client, Response, Url};

/// The most pages and redirects on the way to the end.
const MOST_STEPS: usize = 20;

/// A browser and the one who sits before it.
#[derive(Debug)]
pub struct Browser {
    client: Client,
    cookies: BTreeMap<String, String>,
    login: String,
}

/// A page, and what it may lead to.
struct Page {
    url: Url,
    text: String,
}

impl Browser {
    /// A browser that trusts `authority` alone, before which `login` sits.
    ///
    /// # Errors
    /// If the authority's file is not a certificate.
    pub fn new(authority: &Path, login: &str) -> Result<Self, String> {
        let pem = std::fs::read(authority).map_err(|error| format!("{}: {error}", authority.display()))?;
        let authority = Certificate::from_pem(&pem).map_err(|error| error.to_string())?;
        let builder = Client::builder().no_proxy().tls_certs_only([authority]).timeout(Duration::from_secs(30));
        let client = builder.redirect(reqwest::redirect::Policy::none()).build().map_err(|error| error.to_string())?;
        Ok(Self { client, cookies: BTreeMap::new(), login: login.to_owned() })
    }

    /// Opens `url` and says yes to everything, until a page has no form. Gives that page's text.
    ///
    /// # Errors
    /// If a page cannot be had or there is no end to them.
    pub async fn agree(&mut self, url: &str) -> Result<String, String> {
        self.walk(url, &[]).await
    }

    /// The same on the pages of a device flow, with the code that the device shows.
    ///
    /// # Errors
    /// As [`Browser::agree`].
    pub async fn enter(&mut self, url: &str, user_code: &str) -> Result<String, String> {
        self.walk(url, &[("user_code", user_code)]).await
    }

    /// Enters the code that the device shows and then declines.
    ///
    /// # Errors
    /// As [`Browser::agree`].
    pub async fn decline(&mut self, url: &str, user_code: &str) -> Result<String, String> {
        let input = self.open(url).await?;
        let confirmation = self.submit(&input, &[("user_code", user_code)]).await?;
        Ok(self.submit(&confirmation, &[("abort", "yes")]).await?.text)
    }

    async fn walk(&mut self, url: &str, answers: &[(&str, &str)]) -> Result<String, String> {
        let mut page = self.open(url).await?;
        for _ in 0..MOST_STEPS {
            if !page.text.contains("<form") {
                return Ok(page.text);
            }
            page = self.submit(&page, answers).await?;
        }
        Err(format!("no end of pages: {}", page.text))
    }

    async fn submit(&mut self, page: &Page, answers: &[(&str, &str)]) -> Result<Page, String> {
        let form = page.text.split_once("<form").map(|(_, form)| form).ok_or("no form")?;
        let action = attribute(form, "action").ok_or("a form that leads nowhere")?;
        let target = page.url.join(&unescape(action)).map_err(|error| error.to_string())?;
        let mut fields = BTreeMap::new();
        for input in form.split("<input").skip(1) {
            let input = input.split_once('>').map_or(input, |(input, _)| input);
            let Some(name) = attribute(input, "name") else { continue };
            let value = match name {
                "login" | "password" => self.login.clone(),
                _ => attribute(input, "value").map(unescape).unwrap_or_default(),
            };
            fields.insert(name.to_owned(), value);
        }
        for (name, value) in answers {
            if *name == "abort" {
                fields.remove("confirm");
            }
            if *name == "abort" || fields.contains_key(*name) {
                fields.insert((*name).to_owned(), (*value).to_owned());
            }
        }
        let request = self.client.post(target.clone()).form(&fields);
        self.follow(request, target).await
    }

    async fn open(&mut self, url: &str) -> Result<Page, String> {
        let url = Url::parse(url).map_err(|error| format!("{url}: {error}"))?;
        self.follow(self.client.get(url.clone()), url).await
    }

    async fn follow(&mut self, request: reqwest::RequestBuilder, url: Url) -> Result<Page, String> {
        let (mut request, mut url) = (request, url);
        for _ in 0..MOST_STEPS {
            let cookies: Vec<_> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
            let sent = request.header("cookie", cookies.join("; ")).send().await;
            let response = sent.map_err(|error| format!("{url}: {error:?}"))?;
            self.keep(&response);
            let location = response.headers().get("location").and_then(|to| to.to_str().ok()).map(str::to_owned);
            let Some(location) = location else {
                let text = response.text().await.map_err(|error| error.to_string())?;
                return Ok(Page { url, text });
            };
            url = url.join(&location).map_err(|error| error.to_string())?;
            request = self.client.get(url.clone());
        }
        Err(format!("no end of redirects at {url}"))
    }

    fn keep(&mut self, response: &Response) {
        for cookie in response.headers().get_all("set-cookie").iter().filter_map(|value| value.to_str().ok()) {
            let pair = cookie.split(';').next().unwrap_or_default();
            match pair.split_once('=') {
                Some((name, "")) => drop(self.cookies.remove(name)),
                Some((name, value)) => drop(self.cookies.insert(name.to_owned(), value.to_owned())),
                None => {}
            }
        }
    }
}

/// The value of an attribute that stands in double quotes.
fn attribute<'t>(tag: &'t str, name: &str) -> Option<&'t str> {
    let (_, rest) = tag.split_once(&format!("{name}=\""))?;
    rest.split_once('"').map(|(value, _)| value)
}

fn unescape(text: &str) -> String {
    text.replace("&quot;", "\"").replace("&#39;", "'").replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
}
