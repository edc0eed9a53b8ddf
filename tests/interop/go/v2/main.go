// Drives nacos-sdk-go v2 (gRPC; HTTP for persistent instances). See tests/interop/__init__.py for the protocol.
package main

import (
	"net"
	"path/filepath"
	"strconv"

	"github.com/nacos-group/nacos-sdk-go/v2/clients"
	"github.com/nacos-group/nacos-sdk-go/v2/common/constant"
	"github.com/nacos-group/nacos-sdk-go/v2/model"
	"github.com/nacos-group/nacos-sdk-go/v2/vo"
	"nacosx.test/lines"
)

func main() {
	lines.Serve("github.com/nacos-group/nacos-sdk-go/v2", open)
}

func settings(command lines.Command) (vo.NacosClientParam, error) {
	host, port, err := net.SplitHostPort(command.Server)
	if err != nil {
		return vo.NacosClientParam{}, err
	}
	number, err := strconv.ParseUint(port, 10, 16)
	return vo.NacosClientParam{
		ServerConfigs: []constant.ServerConfig{*constant.NewServerConfig(host, number)},
		ClientConfig: constant.NewClientConfig(
			constant.WithNamespaceId(command.Namespace),
			constant.WithCacheDir(filepath.Join(command.Folder, "cache")),
			constant.WithLogDir(filepath.Join(command.Folder, "logs")),
			constant.WithLogLevel("warn"),
			constant.WithNotLoadCacheAtStart(true),
			constant.WithUpdateCacheWhenEmpty(true), // or the last instance of a service stays for ever
		),
	}, err
}

func open(command lines.Command, event func(map[string]any)) (map[string]lines.Verb, error) {
	param, err := settings(command)
	if err != nil {
		return nil, err
	}
	naming, err := clients.NewNamingClient(param)
	if err != nil {
		return nil, err
	}
	config, err := clients.NewConfigClient(param)
	if err != nil {
		return nil, err
	}
	subscriptions := map[string]*vo.SubscribeParam{}
	return map[string]lines.Verb{
		"close": func(lines.Command) (any, error) {
			naming.CloseClient()
			config.CloseClient()
			return nil, nil
		},
		"register": func(c lines.Command) (any, error) {
			return naming.RegisterInstance(registration(c, c.Instance))
		},
		"deregister": func(c lines.Command) (any, error) {
			return naming.DeregisterInstance(vo.DeregisterInstanceParam{
				Ip: c.Instance.IP, Port: c.Instance.Port, Cluster: c.Instance.Cluster, ServiceName: c.Service,
				GroupName: c.Group, Ephemeral: c.Instance.Ephemeral,
			})
		},
		"batch": func(c lines.Command) (any, error) {
			several := make([]vo.RegisterInstanceParam, 0, len(c.Instances))
			for _, instance := range c.Instances {
				several = append(several, registration(c, instance))
			}
			return naming.BatchRegisterInstance(vo.BatchRegisterInstanceParam{
				ServiceName: c.Service, GroupName: c.Group, Instances: several,
			})
		},
		"select": func(c lines.Command) (any, error) {
			if !c.Healthy {
				all, err := naming.SelectAllInstances(vo.SelectAllInstancesParam{
					Clusters: c.Clusters, ServiceName: c.Service, GroupName: c.Group,
				})
				return seen(all), err
			}
			healthy, err := naming.SelectInstances(vo.SelectInstancesParam{
				Clusters: c.Clusters, ServiceName: c.Service, GroupName: c.Group, HealthyOnly: true,
			})
			return seen(healthy), err
		},
		"one": func(c lines.Command) (any, error) {
			one, err := naming.SelectOneHealthyInstance(vo.SelectOneHealthInstanceParam{
				Clusters: c.Clusters, ServiceName: c.Service, GroupName: c.Group,
			})
			if err != nil {
				return nil, err
			}
			return seen([]model.Instance{*one})[0], nil
		},
		"subscribe": func(c lines.Command) (any, error) {
			subscription := &vo.SubscribeParam{
				ServiceName: c.Service, Clusters: c.Clusters, GroupName: c.Group,
				SubscribeCallback: func(instances []model.Instance, err error) {
					if err == nil {
						event(map[string]any{
							"event": "service", "service": c.Service, "group": c.Group, "instances": seen(instances),
						})
					}
				},
			}
			subscriptions[c.Group+"@@"+c.Service] = subscription
			return nil, naming.Subscribe(subscription)
		},
		"unsubscribe": func(c lines.Command) (any, error) {
			return nil, naming.Unsubscribe(subscriptions[c.Group+"@@"+c.Service])
		},
		"publish": func(c lines.Command) (any, error) {
			return config.PublishConfig(vo.ConfigParam{DataId: c.DataID, Group: c.Group, Content: c.Content})
		},
		"cas": func(c lines.Command) (any, error) {
			return config.PublishConfig(vo.ConfigParam{
				DataId: c.DataID, Group: c.Group, Content: c.Content, CasMd5: c.MD5,
			})
		},
		"get": func(c lines.Command) (any, error) {
			content, err := config.GetConfig(vo.ConfigParam{DataId: c.DataID, Group: c.Group})
			if content == "" {
				return nil, err // this SDK says "" for a config that is not there
			}
			return content, err
		},
		"remove": func(c lines.Command) (any, error) {
			return config.DeleteConfig(vo.ConfigParam{DataId: c.DataID, Group: c.Group})
		},
		"listen": func(c lines.Command) (any, error) {
			return nil, config.ListenConfig(vo.ConfigParam{
				DataId: c.DataID, Group: c.Group,
				OnChange: func(_, group, dataID, content string) {
					event(map[string]any{"event": "config", "data_id": dataID, "group": group, "content": content})
				},
			})
		},
		"unlisten": func(c lines.Command) (any, error) {
			return nil, config.CancelListenConfig(vo.ConfigParam{DataId: c.DataID, Group: c.Group})
		},
	}, nil
}

func registration(c lines.Command, instance lines.Instance) vo.RegisterInstanceParam {
	return vo.RegisterInstanceParam{
		Ip: instance.IP, Port: instance.Port, Weight: instance.Weight, Enable: instance.Enabled,
		Healthy: instance.Healthy, Metadata: instance.Metadata, ClusterName: instance.Cluster,
		ServiceName: c.Service, GroupName: c.Group, Ephemeral: instance.Ephemeral,
	}
}

func seen(instances []model.Instance) []lines.Instance {
	all := make([]lines.Instance, 0, len(instances))
	for _, one := range instances {
		all = append(all, lines.Instance{
			IP: one.Ip, Port: one.Port, Weight: one.Weight, Enabled: one.Enable, Healthy: one.Healthy,
			Ephemeral: one.Ephemeral, Cluster: one.ClusterName, Metadata: one.Metadata,
		})
	}
	return all
}
