//! Where in AWS: a region, and the partition that it lies in. Partitions share no identities: an ARN of one means nothing in
//! another.

use core::fmt;

use reqwest::Url;

use crate::config::ConfigFault;

/// A part of AWS with identities of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Partition {
    /// The commercial one, `aws`.
    Commercial,
    /// `aws-cn`.
    China,
    /// `aws-us-gov`.
    GovCloud,
}

impl Partition {
    /// As ARNs name it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Commercial => "aws",
            Self::China => "aws-cn",
            Self::GovCloud => "aws-us-gov",
        }
    }

    /// What its hosts' names end in.
    pub(crate) const fn suffix(self) -> &'static str {
        match self {
            Self::China => "amazonaws.com.cn",
            Self::Commercial | Self::GovCloud => "amazonaws.com",
        }
    }

    /// Where its IAM is, and the region that requests to it are signed for: it has one for all regions.
    pub(crate) const fn iam(self) -> (&'static str, &'static str) {
        match self {
            Self::Commercial => ("https://iam.amazonaws.com/", "us-east-1"),
            Self::China => ("https://iam.cn-north-1.amazonaws.com.cn/", "cn-north-1"),
            Self::GovCloud => ("https://iam.us-gov.amazonaws.com/", "us-gov-west-1"),
        }
    }
}

/// A region of AWS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Region {
    name: String,
    partition: Partition,
}

impl Region {
    /// Reads a region's name. The isolated partitions are none that were tried: they are refused.
    pub(crate) fn parse(text: &str) -> Result<Self, ConfigFault> {
        let parts: Vec<&str> = text.split('-').collect();
        let word = |part: &&str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_lowercase());
        let number = |part: &&str| matches!(part.as_bytes(), [b'1'..=b'9']);
        let formed =
            parts.len() >= 3 && parts.split_last().is_some_and(|(last, rest)| number(last) && rest.iter().all(word));
        if !formed {
            let text = format!("`region` is `{}`: write a region's name, such as `eu-west-1`", shown(text));
            return Err(ConfigFault::new(text));
        }
        let partition = match parts.as_slice() {
            ["cn", ..] => Partition::China,
            ["us", "gov", ..] => Partition::GovCloud,
            ["af" | "ap" | "ca" | "eu" | "il" | "me" | "mx" | "sa" | "us", place, _] if !place.starts_with("iso") => {
                Partition::Commercial
            }
            _ => {
                let text = format!(
                    "`region` is `{text}`, of a partition that is not known here: those of `aws`, `aws-cn` and `aws-us-gov` are"
                );
                return Err(ConfigFault::new(text));
            }
        };
        Ok(Self { name: text.to_owned(), partition })
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) const fn partition(&self) -> Partition {
        self.partition
    }

    /// The region's own STS. There is a global one too, whose sessions are not valid in every region: it is never asked.
    pub(crate) fn sts_host(&self) -> String {
        format!("sts.{}.{}", self.name, self.partition.suffix())
    }
}

impl fmt::Display for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

/// An endpoint that somebody wrote instead of AWS's own: HTTPS, or plain HTTP at loopback.
pub(crate) fn endpoint(setting: &str, text: &str) -> Result<Url, ConfigFault> {
    writ_provider_calls::http::endpoint(setting, text).map_err(ConfigFault::new)
}

/// A value that somebody wrote, fit for a message.
pub(crate) fn shown(text: &str) -> String {
    writ_provider_calls::plain(text)
}
