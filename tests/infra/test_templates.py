"""The templates agree with the app, with each other, and with what must never be."""

import json
import re
import tomllib
from dataclasses import fields
from enum import StrEnum
from typing import Any, ClassVar

import annotated_types
import pytest
import yaml
from pydantic.fields import FieldInfo

from functions.principal import READ_ROLE, REVIEW_ROLE
from infra import package
from infra.package import ROOT
from local.insights import QUIET
from shared.domain.connections import Connection
from shared.settings import Settings
from shared.storage.account import CONTAINER, QUEUES, TABLES, StorageAccount
from tests.infra.bicep import INFRA, Expression, Parameter, Resource, Template, templates

TEMPLATES = templates()
MAIN, APP, STORAGE, ROLES = (TEMPLATES[f"{name}.bicep"] for name in ("main", "app", "storage", "roles"))
RESOURCES = [resource for template in TEMPLATES.values() for resource in template.resources.values()]

# Microsoft, "Bicep functions": those that the templates may call. Anything else is a typing mistake, or a secret read.
FUNCTIONS = {
    *("description", "allowed", "minValue", "maxValue", "minLength", "maxLength"),
    *("concat", "empty", "environment", "filter", "flatten", "guid", "items", "loadJsonContent"),
    *("loadTextContent", "map", "replace"),
    *("string", "subscription", "subscriptionResourceId", "tenant", "toLower", "toObject", "union", "uniqueString"),
}


def of_kind(kind: str) -> list[Resource]:
    return [resource for resource in RESOURCES if resource.kind == kind and not resource.existing]


def the(kind: str) -> dict[str, Any]:
    [resource] = of_kind(kind)
    properties: dict[str, Any] = resource.body["properties"]
    return properties


@pytest.mark.parametrize("template", TEMPLATES.values(), ids=TEMPLATES)
class TestEachFile:
    def test_has_no_syntax_error(self, template: Template) -> None:
        assert template.syntax_errors == []

    def test_describes_every_parameter(self, template: Template) -> None:
        silent = [one.name for one in template.parameters.values() if not one.decorators.get("description")]
        assert silent == []

    def test_uses_only_what_is_declared_and_declares_only_what_is_used(self, template: Template) -> None:
        assert template.used - template.declared == set()
        made = {symbol for symbol, one in {**template.resources, **template.modules}.items() if not one.existing}
        assert template.declared - template.used - made == set()

    def test_calls_only_known_functions_and_reads_no_key(self, template: Template) -> None:
        assert template.called - FUNCTIONS == set()

    def test_takes_nothing_from_a_registry(self, template: Template) -> None:
        assert [module.type for module in template.modules.values() if not (INFRA / module.type).is_file()] == []


@pytest.mark.parametrize("module", MAIN.modules.values(), ids=MAIN.modules)
def test_a_module_gets_its_parameters(module: Resource) -> None:
    parameters = TEMPLATES[module.type].parameters
    given = set(module.body["params"])
    assert given - parameters.keys() == set()
    assert {name for name, one in parameters.items() if one.default is None} - given == set()


def test_every_file_is_a_module_of_main_and_gives_the_outputs_that_main_reads() -> None:
    assert {module.type for module in MAIN.modules.values()} | {"main.bicep"} == set(TEMPLATES)
    read = {tuple(text.split(".")) for text in MAIN.members if text.count(".") == 2}
    outputs = {
        (symbol, "outputs", output)
        for symbol, module in MAIN.modules.items()
        for output in TEMPLATES[module.type].outputs
    }
    assert read - outputs == set()


def test_the_parameters_file_gives_what_main_takes() -> None:
    given = json.loads((INFRA / "main.parameters.json").read_text())["parameters"]
    assert given.keys() - MAIN.parameters.keys() == set()
    assert {name for name, one in MAIN.parameters.items() if one.default is None} - given.keys() == set()


class TestSettings:
    """The app gets every setting that it knows, with the limits and the default that it has itself."""

    given: ClassVar[dict[str, Any]] = MAIN.modules["settings"].body["params"]["given"]
    of_azure: ClassVar[set[str]] = set(
        re.findall(r"name: '(\w+)'", APP.resources["app"].body["properties"]["siteConfig"]["appSettings"].text)
    )

    @staticmethod
    def parameter(value: Any) -> Parameter | None:
        """Return the parameter that the value is, also within `string(…)`."""
        if not isinstance(value, Expression):
            return None
        return MAIN.parameters[re.sub(r"^string\((\w+)\)$", r"\1", value.text)]

    @pytest.mark.parametrize("field", Settings.model_fields.values(), ids=lambda field: str(field.alias))
    def test_is_set(self, field: FieldInfo) -> None:
        not_for_azure = re.match("Connection string .* Local only|Local only", field.description or "")
        by_azure = re.match("Set by (App Service|Flex Consumption) itself", field.description or "")
        is_set = {*self.given, *self.of_azure}
        assert (field.alias in is_set) is not bool(not_for_azure or by_azure)

    def test_knows_every_setting_that_is_given(self) -> None:
        assert self.given.keys() - {field.alias for field in Settings.model_fields.values()} == set()

    @pytest.mark.parametrize("name", given)
    def test_has_the_default_of_the_app(self, name: str) -> None:
        field = next(field for field in Settings.model_fields.values() if field.alias == name)
        parameter = self.parameter(self.given[name])
        default = self.given[name] if parameter is None else parameter.default
        if field.is_required():
            assert default
        elif field.default is None:
            assert default == ""  # left out
        elif isinstance(field.default, float | int) and not isinstance(default, dict):
            assert float(default) == field.default
        else:
            assert default == (field.default if isinstance(field.default, dict) else str(field.default))

    @pytest.mark.parametrize("name", given)
    def test_has_the_limits_of_the_app(self, name: str) -> None:
        field = next(field for field in Settings.model_fields.values() if field.alias == name)
        parameter = self.parameter(self.given[name])
        if parameter is None:
            return
        assert parameter.decorators.get("maxValue") == next(
            (one.le for one in field.metadata if isinstance(one, annotated_types.Le)), None
        )
        lowest = [one.ge for one in field.metadata if isinstance(one, annotated_types.Ge)]
        above = [one.gt for one in field.metadata if isinstance(one, annotated_types.Gt)]
        least = parameter.decorators.get("minValue")
        assert least == (lowest[0] if lowest else None) or (above and least is not None and least > above[0])
        if isinstance(field.default, StrEnum):
            assert parameter.decorators["allowed"] == [str(one) for one in type(field.default)]

    def test_leaves_no_setting_empty(self) -> None:
        """An empty address would be refused at start: what is not given must be absent."""
        assert (
            "filter(items(given), setting => !empty(setting.value))"
            in TEMPLATES["settings.bicep"].variables["filled"].text
        )

    def test_secrets_come_by_reference_from_the_vault_for_every_setting_that_the_connections_name(self) -> None:
        variables = TEMPLATES["settings.bicep"].variables
        assert variables["connections"].text == "loadJsonContent('../connections.json').connections"
        assert "connection.secrets" in variables["secretSettings"].text
        assert "'@Microsoft.KeyVault(VaultName=${vaultName};SecretName=" in variables["references"].text
        assert APP.resources["app"].body["properties"]["keyVaultReferenceIdentity"] == Expression("identity.id")

    def test_telemetry_is_exported_as_the_demo_proves_it(self) -> None:
        settings = APP.resources["app"].body["properties"]["siteConfig"]["appSettings"].text
        for name in ("ENABLE_TELEMETRY", "LOGGER_NAME"):
            assert f"PYTHON_APPLICATIONINSIGHTS_{name}" in self.of_azure
        assert f"value: '{QUIET}'" in settings.partition("OTEL_PYTHON_DISABLED_INSTRUMENTATIONS")[2]

    def test_every_connection_names_its_secrets(self) -> None:
        """The template reads `secrets` of each: without it, Azure would refuse the deployment with no word of why."""
        assert Connection.model_fields["secrets"].is_required()

    def test_no_key_and_no_password_is_a_setting(self) -> None:
        assert {"AzureWebJobsStorage", "APPINSIGHTS_INSTRUMENTATIONKEY"} & {*self.given, *self.of_azure} == set()
        assert not [name for template in TEMPLATES.values() for name in template.called if name.startswith("list")]


class TestStorage:
    """What the code declares is what the template makes."""

    def test_tables(self) -> None:
        assert STORAGE.variables["tableNames"] == sorted(TABLES)

    def test_queues(self) -> None:
        assert STORAGE.variables["queueNames"] == sorted(QUEUES)

    def test_containers(self) -> None:
        assert STORAGE.variables["containerNames"] == [CONTAINER]

    @pytest.mark.parametrize(
        ("kind", "names"), [("tables", "tableNames"), ("queues", "queueNames"), ("containers", "containerNames")]
    )
    def test_the_lists_are_made(self, kind: str, names: str) -> None:
        declaration = STORAGE.path.read_text().partition(f"resource {kind} '")[2].partition("{")[0]
        assert re.search(rf"= \[for \w+ in {names}: $", declaration)


class TestRoles:
    """Least privilege: who has which role on what is written here once more, so that nothing is added unnoticed."""

    # Microsoft, "Azure built-in roles".
    ids: ClassVar[dict[str, str]] = {
        "blobDataOwner": "b7e6dc6d-f1e8-4753-8033-0f276bb0955b",
        "queueDataContributor": "974c5e8b-45b9-4653-ba55-5f855dd0fb88",
        "tableDataContributor": "0a9a7e1f-b9d0-4cc4-a60d-0319b160aaa3",
        "secretsUser": "4633458b-17de-408a-b874-0445c86b69e6",
        "secretsOfficer": "b86a8fe4-44ce-4948-aee5-eccb2c155cd7",
        "metricsPublisher": "3913510d-42f4-4e42-8a64-420c390055eb",
    }
    needed: ClassVar[set[tuple[str, str, str]]] = {
        ("appPrincipalId", "blobDataOwner", "storage"),
        ("appPrincipalId", "queueDataContributor", "storage"),
        ("appPrincipalId", "tableDataContributor", "storage"),
        ("appPrincipalId", "secretsUser", "vault"),
        ("appPrincipalId", "metricsPublisher", "insights"),
        ("operatorPrincipalId", "secretsOfficer", "vault"),
    }

    @staticmethod
    def given() -> list[tuple[str, str, str]]:
        return [
            (
                one.body["properties"]["principalId"].text,
                one.body["properties"]["roleDefinitionId"].text.rpartition(" ")[2].rstrip(")"),
                one.body["scope"].text,
            )
            for one in of_kind("Microsoft.Authorization/roleAssignments")
        ]

    def test_are_these_and_no_others(self) -> None:
        assert ROLES.variables == self.ids
        assert len(self.given()) == len(self.needed)
        assert set(self.given()) == self.needed

    def test_every_one_is_used(self) -> None:
        """By the settings and the resources of the app: each service that it uses, with the identity that it has."""
        text = APP.path.read_text()
        assert {field.name for field in fields(StorageAccount)} == {"tables", "queues", "blobs"}
        assert {"AzureWebJobsStorage__accountName", "AzureWebJobsStorage__clientId"} <= TestSettings.of_azure
        assert "APPLICATIONINSIGHTS_AUTHENTICATION_STRING" in TestSettings.of_azure
        assert "keyVaultReferenceIdentity" in text

    def test_each_says_why(self) -> None:
        assert [one.symbol for one in of_kind("Microsoft.Authorization/roleAssignments") if not one.comment] == []

    def test_names_repeat_nothing_and_stay_the_same(self) -> None:
        for one in of_kind("Microsoft.Authorization/roleAssignments"):
            principal, role, scope = (
                one.body["properties"]["principalId"].text,
                one.body["properties"]["roleDefinitionId"].text.rpartition(" ")[2].rstrip(")"),
                one.body["scope"].text,
            )
            assert one.body["name"] == Expression(f"guid({scope}.id, {principal}, {role})")


class TestIdentity:
    """The app is one identity, everywhere: the one that roles.bicep gives roles to and permissions.py permissions."""

    app: ClassVar[dict[str, Any]] = APP.resources["app"].body

    def test_the_app_has_this_identity_and_no_other(self) -> None:
        assert self.app["identity"] == {"type": "UserAssigned", "userAssignedIdentities": {"${identity.id}": {}}}
        assert MAIN.modules["roles"].body["params"]["appPrincipalId"] == Expression("identity.outputs.principalId")
        assert MAIN.modules["app"].body["params"]["identityName"] == Expression("identity.outputs.name")

    def test_instances_take_the_package_with_it(self) -> None:
        assert self.app["properties"]["functionAppConfig"]["deployment"]["storage"]["authentication"] == {
            "type": "UserAssignedIdentity",
            "userAssignedIdentityResourceId": Expression("identity.id"),
        }

    def test_every_setting_that_asks_for_one_names_it(self) -> None:
        written = self.app["properties"]["siteConfig"]["appSettings"].text
        values = dict(re.findall(r"name: '(\w+)'\s+value: (.+)", written))
        client = "identity.properties.clientId"
        assert {name: values[name] for name in values if re.search("client_?id", name, re.IGNORECASE)} == {
            "AzureWebJobsStorage__clientId": client,
            "AZURE_CLIENT_ID": client,
            "OVERRIDE_USE_MI_FIC_ASSERTION_CLIENTID": client,
        }
        assert values["AzureWebJobsStorage__credential"] == "'managedidentity'"
        assert values["APPLICATIONINSIGHTS_AUTHENTICATION_STRING"] == f"'ClientId=${{{client}}};Authorization=AAD'"


class TestNothingIsPublic:
    """But the app's own HTTPS address, which the platforms call."""

    def test_no_other_address_exists(self) -> None:
        doors = re.compile("publicIPAddresses|applicationGateways|frontDoors|loadBalancers|natGateways", re.IGNORECASE)
        assert [one.kind for one in RESOURCES if doors.search(one.kind)] == []
        assert [one.symbol for one in of_kind("Microsoft.Web/sites")] == ["app"]

    def test_the_app_speaks_https_and_opens_no_other_door(self) -> None:
        app = the("Microsoft.Web/sites")
        assert app["httpsOnly"] is True
        assert app["siteConfig"]["minTlsVersion"] == app["siteConfig"]["scmMinTlsVersion"] == "1.2"
        assert app["siteConfig"]["ftpsState"] == "Disabled"
        assert app["siteConfig"]["remoteDebuggingEnabled"] is False
        doors = [one for one in APP.resources["app"].nested if one.type == "basicPublishingCredentialsPolicies"]
        assert {one.body["name"]: one.body["properties"] for one in doors} == {
            "scm": {"allow": False},
            "ftp": {"allow": False},
        }

    def test_storage_knows_no_key_and_no_anonymous_reader(self) -> None:
        account = the("Microsoft.Storage/storageAccounts")
        assert account["allowSharedKeyAccess"] is False
        assert account["allowBlobPublicAccess"] is False
        assert account["supportsHttpsTrafficOnly"] is True
        containers = of_kind("Microsoft.Storage/storageAccounts/blobServices/containers")
        assert [one.body["properties"]["publicAccess"] for one in containers] == ["None", "None"]

    def test_the_vault_asks_for_roles_and_keeps_what_is_deleted(self) -> None:
        vault = the("Microsoft.KeyVault/vaults")
        assert vault["enableRbacAuthorization"] is True
        assert vault["enablePurgeProtection"] is True
        assert "accessPolicies" not in vault

    def test_telemetry_is_neither_sent_nor_read_without_an_identity(self) -> None:
        assert the("Microsoft.Insights/components")["DisableLocalAuth"] is True
        assert the("Microsoft.OperationalInsights/workspaces")["features"]["disableLocalAuth"] is True

    @pytest.mark.parametrize("kind", ["Microsoft.Storage/storageAccounts", "Microsoft.KeyVault/vaults"])
    def test_isolation_closes_storage_and_vault_to_every_network(self, kind: str) -> None:
        assert MAIN.variables["publicAccess"] == Expression("networkIsolation ? 'Disabled' : 'Enabled'")
        assert the(kind)["publicNetworkAccess"] == Expression("publicAccess")
        assert the(kind)["networkAcls"] == {
            "bypass": "None",
            "defaultAction": Expression("publicAccess == 'Disabled' ? 'Deny' : 'Allow'"),
        }
        for module in ("storage", "vault"):
            assert MAIN.modules[module].body["params"]["publicAccess"] == Expression("publicAccess")

    def test_isolation_leaves_the_app_a_way_to_all_that_it_uses(self) -> None:
        services = {one["service"] for one in TEMPLATES["network.bicep"].variables["endpoints"]}
        assert services == {"blob", "queue", "table", "vault"}
        subnet = MAIN.modules["app"].body["params"]["subnetId"]
        assert subnet == Expression("networkIsolation ? network!.outputs.appSubnetId : ''")

    def test_no_secret_is_an_output(self) -> None:
        assert not [name for one in TEMPLATES.values() for name in one.outputs if re.search("secret|key$", name, re.I)]


class TestSigningIn:
    """Webhooks pass App Service authentication; everything else is refused by the app (tests/functions)."""

    authentication: ClassVar[dict[str, Any]] = next(
        one.body for one in APP.resources["app"].nested if one.body["name"] == "authsettingsV2"
    )["properties"]

    def test_lets_webhooks_pass_and_is_off_without_an_app_registration(self) -> None:
        assert self.authentication["globalValidation"]["unauthenticatedClientAction"] == "AllowAnonymous"
        assert self.authentication["platform"]["enabled"] == Expression("!empty(signInClientId)")

    def test_has_no_client_secret(self) -> None:
        """Microsoft, "Use a managed identity instead of a secret": this setting holds the identity's client id."""
        registration = self.authentication["identityProviders"]["azureActiveDirectory"]["registration"]
        assert registration["clientSecretSettingName"] == "OVERRIDE_USE_MI_FIC_ASSERTION_CLIENTID"
        assert registration["clientSecretSettingName"] in TestSettings.of_azure

    def test_the_app_roles_are_those_that_the_app_asks_for(self) -> None:
        roles = json.loads((INFRA / "app-roles.json").read_text())
        assert [role["value"] for role in roles] == [READ_ROLE, REVIEW_ROLE]
        assert all(role["isEnabled"] for role in roles)
        assert len({role["id"] for role in roles}) == len(roles)


class TestScale:
    """Webhooks always find somebody at home; the rest costs nothing while nothing happens."""

    scale: ClassVar[dict[str, Any]] = the("Microsoft.Web/sites")["functionAppConfig"]["scaleAndConcurrency"]

    def test_an_instance_for_webhooks_always_runs_by_default(self) -> None:
        assert MAIN.parameters["alwaysReady"].default >= 1
        assert "name: 'http'" in self.scale["alwaysReady"].text

    def test_instances_are_limited(self) -> None:
        assert self.scale["maximumInstanceCount"] == Expression("maximumInstances")

    def test_python_is_that_of_the_app_and_of_its_package(self) -> None:
        runtime = the("Microsoft.Web/sites")["functionAppConfig"]["runtime"]
        project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
        assert runtime == {"name": "python", "version": package.PYTHON}
        assert project["requires-python"] == f">={package.PYTHON}"


def test_who_reads_secrets_deletes_from_the_ledger_or_signs_in_is_logged() -> None:
    categories = {
        (one.body["scope"].text, log["category"])
        for one in of_kind("Microsoft.Insights/diagnosticSettings")
        for log in one.body["properties"].get("logs", [])
    }
    assert categories == {
        ("vault", "AuditEvent"),
        ("tableService", "StorageDelete"),
        ("blobService", "StorageDelete"),
        ("app", "AppServiceAuthenticationLogs"),
    }


def test_azd_uploads_the_package_as_it_is() -> None:
    project = yaml.safe_load((ROOT / "azure.yaml").read_text())
    service = project["services"]["app"]
    assert APP.resources["app"].body["tags"] == Expression("union(tags, { 'azd-service-name': 'app' })")
    assert (ROOT / service["project"]) == package.PACKAGE
    assert service["remoteBuild"] is False
    assert project["hooks"]["prepackage"]["run"] == project["hooks"]["predeploy"]["run"] == "make package"
