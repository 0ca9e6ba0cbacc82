//! Three turns, and what each leaves of the ones before.

use writ_core::provider::Provider as _;

use crate::documented::{FIRST, ROTATOR};
use crate::place::{Database, Place, steps};

async fn turned(place: &Place, provider: &writ_provider_static::StaticProvider, due: &str) -> String {
    let mut turn = place.begin(provider).await.unwrap();
    assert_eq!(turn.due(), due);
    assert_ne!(turn.in_use(), due);
    assert_eq!(steps(&mut turn).await, (3, None));
    let (user, password) = place.read();
    assert_eq!(user, due);
    assert_eq!(place.minted(provider).await, (user, password.clone()));
    place.assert_tidy();
    password
}

/// Sessions live on, the former password is good for one turn more and refused after it.
pub(crate) async fn three(database: &dyn Database) {
    let place = Place::new();
    let provider = place.provider(database.setter());
    provider.probe(&place.target, crate::place::LIMIT).await.unwrap();
    let first = database.login("app_a", FIRST).await.unwrap();

    let second_password = turned(&place, &provider, "app_b").await;
    let second = database.login("app_b", &second_password).await.unwrap();
    assert!(database.login("app_a", FIRST).await.is_some(), "good for one turn more");

    let third_password = turned(&place, &provider, "app_a").await;
    let third = database.login("app_a", &third_password).await.unwrap();
    assert!(database.login("app_a", FIRST).await.is_none(), "and refused after it");
    assert!(database.login("app_b", &second_password).await.is_some());

    let fourth_password = turned(&place, &provider, "app_b").await;
    let fourth = database.login("app_b", &fourth_password).await.unwrap();
    assert!(database.login("app_b", &second_password).await.is_none());
    assert!(database.login("app_a", &third_password).await.is_some());
    for session in [first, second, third, fourth] {
        assert!(session.answers().await, "a session lives on");
    }

    let mut written = vec![database.log(), format!("{provider:?}")];
    written.push(format!("{:?}", database.setter()));
    for canary in [ROTATOR, FIRST, &second_password, &third_password, &fourth_password] {
        // The statements that an admin pasted hold what was put into them; the servers log those.
        let by_hand = canary == FIRST || canary == ROTATOR;
        assert!(by_hand || written.iter().all(|text| !text.contains(canary)), "a password was written down");
    }
    assert!(written[0].contains("app_b"), "the server logs what it is asked");
    for own in [ROTATOR, FIRST] {
        assert!(written[1..].iter().all(|text| !text.contains(own)));
    }
}
