//! The provider `mysql` against real servers of MySQL and MariaDB, with the login that the documentation gives it.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "a test fails by panicking, in its helpers too"
)]

mod canary;
mod clients;
mod documented;
mod ends;
mod granted;
mod misses;
mod server;
mod troubles;

use server::Server;
use writ_provider_kit as kit;
use writ_world::mysql::Release;

macro_rules! for_each_release {
    ($($test:ident $release:ident)*) => { $(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $test() {
            canary::listen();
            troubles::a_plugin_that_is_missing_is_named(Release::$release).await;
            let server = Server::start(Release::$release).await;
            assert_eq!(kit::run(&server).await, Vec::<String>::new());
            granted::exactly_what_was_granted(&server).await;
            granted::default_roles_are_granted_and_probed(&server).await;
            granted::from_where_the_settings_say(&server).await;
            granted::roles_of_which_a_login_could_be_made_are_refused(&server).await;
            granted::roles_that_cannot_be_granted_are_named(&server).await;
            granted::present_says_who_it_is(&server).await;
            clients::the_servers_own_client_logs_in(&server).await;
            clients::sessions_neither_see_nor_end_each_other(&server).await;
            clients::a_session_cannot_make_a_login_for_itself(&server).await;
            misses::near_misses_do_not_get_in(&server).await;
            ends::two_revocations_at_once_settle(&server).await;
            ends::what_a_crash_left_is_finished(&server).await;
            ends::a_session_that_made_things_goes(&server).await;
            ends::a_transaction_is_rolled_back(&server).await;
            ends::an_expired_password_opens_nothing(&server).await;
            ends::a_sweep_takes_only_what_is_ours(&server).await;
            ends::the_pool_outlives_lost_connections(&server).await;
            troubles::a_mint_cut_short_takes_no_effect_later(&server).await;
            troubles::tls_is_verified(&server).await;
            troubles::missing_rights_are_named(&server).await;
            troubles::a_replica_is_named(&server).await;
            canary::nothing_shows(&server);
        }
    )* };
}

for_each_release! {
    mariadb_10 Mariadb10
    mariadb_11 Mariadb11
    mysql_9 Mysql9
}
