"""The desk of 1.x clients, consoles and curl: HTTP v1.

naming   the routes of `/v1/ns`; what they lead to:
         instance, service, operator · naming_desk, which they all stand on · client_agent, machine
config   the routes of `/v1/cs`; what they lead to:
         config_content (read, publish, delete), config_details (one in full, search), config_history, config_listener (polls,
         who listens) · config_http, how they word parameters, refusals and headers
console  the routes of `/v1/console`, and of v2 what stands beside them: namespaces, health, state
"""
