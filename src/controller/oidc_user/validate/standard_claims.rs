//! The standard claims of a person beyond name, e-mail address and groups.

use super::{invalid, text};
use crate::controller::condition::Verdict;
use crate::controller::text::lines;
use crate::crd::v1alpha1::{self as crd, OidcUserSpec};
use crate::oidc::standard_claims::{
    Address, StandardClaims, is_birthdate, is_locale, is_phone_number, is_web_address, is_zone_name,
};

pub(super) fn of(spec: &OidcUserSpec) -> Result<StandardClaims, Verdict> {
    Ok(StandardClaims {
        middle_name: text("spec.middleName", spec.middle_name.as_ref())?,
        nickname: text("spec.nickname", spec.nickname.as_ref())?,
        profile: web_address("spec.profile", spec.profile.as_ref())?,
        picture: web_address("spec.picture", spec.picture.as_ref())?,
        website: web_address("spec.website", spec.website.as_ref())?,
        gender: text("spec.gender", spec.gender.as_ref())?,
        birthdate: checked(
            "spec.birthdate",
            spec.birthdate.as_ref(),
            is_birthdate,
            "must be a day like 1815-12-10 or 0000-12-10, or a year like 1815",
        )?,
        zoneinfo: checked(
            "spec.zoneinfo",
            spec.zoneinfo.as_ref(),
            is_zone_name,
            "must be the name of a time zone, like Europe/Berlin",
        )?,
        locale: checked(
            "spec.locale",
            spec.locale.as_ref(),
            is_locale,
            "must be a language tag like de-CH",
        )?,
        phone_number: checked(
            "spec.phoneNumber",
            spec.phone_number.as_ref(),
            is_phone_number,
            "must be an international phone number like +1 (425) 555-1212",
        )?,
        phone_number_verified: spec.phone_number_verified && spec.phone_number.is_some(),
        address: spec.address.as_ref().map(address).transpose()?.flatten(),
    })
}

/// `None` for an address that says nothing.
fn address(given: &crd::Address) -> Result<Option<Address>, Verdict> {
    let crd::Address {
        formatted,
        street_address,
        locality,
        region,
        postal_code,
        country,
    } = given;
    for (field, given) in [
        ("spec.address.formatted", formatted),
        ("spec.address.streetAddress", street_address),
    ] {
        if let Some(given) = given {
            lines(given, 512).map_err(|why| invalid(field, why))?;
        }
    }
    let address = Address {
        formatted: formatted.clone(),
        street_address: street_address.clone(),
        locality: text("spec.address.locality", locality.as_ref())?,
        region: text("spec.address.region", region.as_ref())?,
        postal_code: text("spec.address.postalCode", postal_code.as_ref())?,
        country: text("spec.address.country", country.as_ref())?,
    };
    Ok((address != Address::default()).then_some(address))
}

fn web_address(field: &str, given: Option<&String>) -> Result<Option<String>, Verdict> {
    checked(
        field,
        given,
        is_web_address,
        "must be a URL with https or http, like https://example.org/ada",
    )
}

fn checked(
    field: &str,
    given: Option<&String>,
    is_legal: fn(&str) -> bool,
    otherwise: &str,
) -> Result<Option<String>, Verdict> {
    match given {
        Some(given) if !is_legal(given) => Err(invalid(field, otherwise)),
        given => Ok(given.cloned()),
    }
}
