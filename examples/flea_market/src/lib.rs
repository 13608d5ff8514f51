//! A flea market of microservices: a gateway, a service for ads and one for users, who know each
//! other and the person who asks by Kerberos tickets.
